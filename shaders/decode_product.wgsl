// out[r, n] = y[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound.
// y = x; or if NORM its RMSNorm, the root of whose squares divides at the end (spec c.1); or if GATED norm(x) ⊙ sigmoid(gate), the norm
// over each of GROUPS equal pieces (spec c.7), whose squares come first.
// One workgroup of LANES per ROWS rows and 4 outputs for each of its teams of TEAM lanes, which share out K in the same way whatever the
// rows are. COLUMNS: K / 4. ROWS: 1 or 4. OUTPUTS: rows are the step's outputs. BIAS: there is one. SCALED: the weight has factors.

const TEAMS = LANES / TEAM;
const GROUP_COLUMNS = COLUMNS / GROUPS;

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
@group(0) @binding(5) var<storage, read> weight: array<piece>; // [N, K]
@group(0) @binding(6) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(7) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, N]

var<workgroup> group_scales: array<vec4f, GROUPS>; // of four rows

fn pieces_at(tile: Tile, p: u32) -> Pieces {
  let at = tile.rows * PIECES + p;
  let block = factor_indices(tile, PIECE * p, COLUMNS);
  return Pieces(weight[at.x], weight[at.y], weight[at.z], weight[at.w], factors_at(block));
}

fn factors_at(block: vec4u) -> factor4 {
  if (!SCALED) { return factor4(); }
  return factor4(
    factors[factor_at(block.x)],
    factors[factor_at(block.y)],
    factors[factor_at(block.z)],
    factors[factor_at(block.w)],
  );
}

// Squares of one row, the groups from `group` on a component each, at columns 4i … 4i + 3.
fn group_squares(source: u32, i: u32, group: u32) -> vec4f {
  let value = x[source + i];
  let places = vec4u(group) + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(), vec4f(dot(value, value)), places == vec4u(i / GROUP_COLUMNS));
}

// Fills group_scales of a row, four groups at once. Four reads of a lane are under way at once.
fn find_group_scales(lane: Lane, source: u32, row: u32) {
  for (var group = 0u; group < GROUPS; group += 4u) {
    var sums = vec4f();
    for (var i = lane.index; i < COLUMNS; i += PREPARED * LANES) {
      sums += group_squares(source, i, group);
      if (PREPARED > 1u) { sums += group_squares(source, i + LANES, group); }
      if (PREPARED > 2u) {
        sums += group_squares(source, i + 2u * LANES, group) + group_squares(source, i + 3u * LANES, group);
      }
    }
    let scales = to_scales(sum_lanes4(lane, sums), 4u * GROUP_COLUMNS);
    let own = group + lane.index;
    if (lane.index < 4u && own < GROUPS) { group_scales[own][row] = scales[lane.index]; }
  }
}

// y at columns 4i … 4i + 3, but for the scale of a NORM.
fn input_at(source: u32, i: u32, row: u32) -> vec4f {
  let value = x[source + i];
  if (NORM) { return value * norm[i]; }
  if (!GATED) { return value; }
  let scale = group_scales[i / GROUP_COLUMNS][row];
  return value * scale * norm[i] / (1.0 + exp(-gate[source + i]));
}

// Lane j < 4 of a team finishes output n + j.
fn finish(lane: Lane, row: u32, n: u32, tile: Tile, sums: vec4f, scale: f32) {
  let j = lane.index % TEAM;
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
  // Past the last output nothing is written, but lanes wait for each other.
  let n = params.first + (flat(group, grid) / row_tiles * TEAMS + lane.index / TEAM) * 4u;
  let tile = tile_at(0u, n, params.outputs, params.first, params.count);
  let sources = sources_at(row, rows);
  let own = lane.index % TEAM;
  let first = first_pieces(tile, own);
  if (GATED) {
    find_group_scales(lane, sources.x, 0u);
    if (ROWS > 1u) {
      find_group_scales(lane, sources.y, 1u);
      find_group_scales(lane, sources.z, 2u);
      find_group_scales(lane, sources.w, 3u);
    }
    workgroupBarrier();
  }
  prepare(lane, sources);
  add_all(sources, tile, own, first);
  let found = sums_and_scales(lane, sums0);
  finish(lane, row, n, tile, found.sums, found.scales.x);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, row + 1u, n, tile, sum_team4(lane, sums1), found.scales.y); }
    if (row + 2u < rows) { finish(lane, row + 2u, n, tile, sum_team4(lane, sums2), found.scales.z); }
    if (row + 3u < rows) { finish(lane, row + 3u, n, tile, sum_team4(lane, sums3), found.scales.w); }
  }
}
