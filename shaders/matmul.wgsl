// out[r, n] = x[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound.
// One workgroup of LANES per 4 outputs and ROWS rows; its lanes share out K, in the same way whatever the rows are.
// ROWS: 1 or 4. OUTPUTS: rows are the step's outputs. BIAS: there is one. SCALED: the weight has factors.

struct Params {
  columns: u32, // K / 4
  outputs: u32, // N
  first: u32, // row of the part
  count: u32, // rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> weight: array<weight4>; // [N, K]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [T, N]

fn weights4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

// The weights of a tile's rows at columns 4i … 4i + 3: x * weights(…) are its four products.
fn weights(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * params.columns + i;
  let block = factor_indices(tile, i, params.columns);
  return mat4x4f(
    weights4(at.x, block.x),
    weights4(at.y, block.y),
    weights4(at.z, block.z),
    weights4(at.w, block.w),
  );
}

// Lane j < 4 finishes output n + j.
fn finish(lane: Lane, row: u32, n: u32, tile: Tile, partial: vec4f) {
  let sums = sum_lanes4(lane, partial);
  let j = lane.index;
  if (j >= 4u) { return; }
  if (!tile.inside[j]) { return; }
  let at = row * params.outputs + n + j;
  var value = sums[j];
  if (BIAS) { value += bias[n + j]; }
  if (ADD) { value += out[at]; }
  out[at] = value;
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let rows = select(step_rows(), step_outputs(), OUTPUTS);
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let n = params.first + flat(group, grid) / row_tiles * 4u;
  if (n >= params.first + params.count) { return; }
  let tile = tile_at(0u, n, params.outputs, params.first, params.count);
  // Past the last row: the last one again, and its sums are dropped.
  let source = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * params.columns;
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var i = lane.index; i < params.columns; i += LANES) {
    let w = weights(tile, i);
    sums0 += x[source.x + i] * w;
    if (ROWS > 1u) {
      sums1 += x[source.y + i] * w;
      sums2 += x[source.z + i] * w;
      sums3 += x[source.w + i] * w;
    }
  }
  finish(lane, row, n, tile, sums0);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, row + 1u, n, tile, sums1); }
    if (row + 2u < rows) { finish(lane, row + 2u, n, tile, sums2); }
    if (row + 3u < rows) { finish(lane, row + 3u, n, tile, sums3); }
  }
}
