// out[r, n] = y[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound.
// y = x; or if NORM its RMSNorm, the root of whose squares, added up on the way, divides at the end (spec c.1); or if GATED
// norm(x) ⊙ sigmoid(gate), the norm over each of GROUPS equal pieces (spec c.7), whose squares teams of TEAM lanes sum first.
// One workgroup of LANES per 4 outputs and ROWS rows; its lanes share out K, in the same way whatever the rows are.
// COLUMNS: K / 4. ROWS: 1 or 4. OUTPUTS: rows are the step's outputs. BIAS: there is one. SCALED: the weight has factors.

const TEAMS = LANES / TEAM;
const ROUNDS = (GROUPS + TEAMS - 1u) / TEAMS;

struct Params {
  outputs: u32, // N
  first: u32, // row of the part
  count: u32, // rows of the part
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<vec4f>; // [T, K]
@group(0) @binding(5) var<storage, read> weight: array<weight4>; // [N, K]
@group(0) @binding(6) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(7) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, N]

var<workgroup> group_scales: array<vec4f, GROUPS>; // of four rows

fn weights4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

// The weights of a tile's rows at columns 4i … 4i + 3: x * weights(…) are its four products.
fn weights(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  return mat4x4f(
    weights4(at.x, block.x),
    weights4(at.y, block.y),
    weights4(at.z, block.z),
    weights4(at.w, block.w),
  );
}

// Each team treats a group after the other.
fn find_group_scales(lane: Lane, sources: vec4u) {
  let size = COLUMNS / GROUPS;
  let own = lane.index % TEAM;
  for (var round = 0u; round < ROUNDS; round++) {
    let g = round * TEAMS + lane.index / TEAM;
    var sum = vec4f();
    if (g < GROUPS) {
      for (var i = g * size + own; i < (g + 1u) * size; i += TEAM) { sum += squares_at(sources, i); }
    }
    let total = sum_team4(lane, sum);
    if (own == 0u && g < GROUPS) { group_scales[g] = to_scales(total, 4u * size); }
  }
  workgroupBarrier();
}

// y at columns 4i … 4i + 3, but for the scale of a NORM.
fn input(source: u32, i: u32, row: u32) -> vec4f {
  let value = x[source + i];
  if (NORM) { return value * norm[i]; }
  if (!GATED) { return value; }
  let scale = group_scales[i / (COLUMNS / GROUPS)][row];
  return value * scale * norm[i] / (1.0 + exp(-gate[source + i]));
}

// Lane j < 4 finishes output n + j.
fn finish(lane: Lane, row: u32, n: u32, tile: Tile, partial: vec4f, scale: f32) {
  let sums = sum_lanes4(lane, partial);
  let j = lane.index;
  if (j >= 4u) { return; }
  if (!tile.inside[j]) { return; }
  let at = row * params.outputs + n + j;
  var value = sums[j] * scale;
  if (BIAS) { value += bias[n + j]; }
  if (ADD) { value += out[at]; }
  out[at] = value;
}

// A plan of one row has one, whatever the step says.
fn row_count() -> u32 {
  if (ROWS == 1u) { return 1u; }
  return select(step_rows(), step_outputs(), OUTPUTS);
}

fn source_row(row: u32) -> u32 {
  if (OUTPUTS) { return step_output(row); }
  return row;
}

// The rows `row` … row + ROWS - 1 of x; past the last row the last one again, and its sums are dropped.
fn sources_at(row: u32, rows: u32) -> vec4u {
  if (ROWS == 1u) { return vec4u(source_row(row) * COLUMNS); }
  let all = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
  return vec4u(source_row(all.x), source_row(all.y), source_row(all.z), source_row(all.w)) * COLUMNS;
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let rows = row_count();
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let n = params.first + flat(group, grid) / row_tiles * 4u;
  if (n >= params.first + params.count) { return; }
  let tile = tile_at(0u, n, params.outputs, params.first, params.count);
  let sources = sources_at(row, rows);
  if (GATED) { find_group_scales(lane, sources); }
  for (var i = lane.index; i < COLUMNS; i += UNROLL * LANES) {
    add_products(sources, i, weights(tile, i));
    if (UNROLL > 1u) { add_products(sources, i + LANES, weights(tile, i + LANES)); }
    if (UNROLL > 2u) {
      add_products(sources, i + 2u * LANES, weights(tile, i + 2u * LANES));
      add_products(sources, i + 3u * LANES, weights(tile, i + 3u * LANES));
    }
  }
  var scales = vec4f(1.0);
  if (NORM) { scales = to_scales(sum_lanes4(lane, squares), 4u * COLUMNS); }
  finish(lane, row, n, tile, sums0, scales.x);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, row + 1u, n, tile, sums1, scales.y); }
    if (row + 2u < rows) { finish(lane, row + 2u, n, tile, sums2, scales.z); }
    if (row + 3u < rows) { finish(lane, row + 3u, n, tile, sums3, scales.w); }
  }
}
