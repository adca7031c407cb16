// out[r, i] = silu(x[r] · gate[i]) ⊙ (x[r] · up[i]), for the rows i in the part of the weights that is bound.
// One workgroup of LANES per 4 outputs and ROWS rows; its lanes share out K, in the same way whatever the rows are. ROWS: 1 or 4.

struct Params {
  columns: u32, // K / 4
  outputs: u32, // I
  first: u32, // row of the part
  count: u32, // rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> gate: array<weight4>; // [I, K]
@group(0) @binding(4) var<storage, read> gate_factors: array<factor>; // [I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> up: array<weight4>; // [I, K]
@group(0) @binding(6) var<storage, read> up_factors: array<factor>; // [I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(7) var<storage, read_write> out: array<f32>; // [T, I]

fn gates4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(gate[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, gate_factors[factor_at(block)], block);
}

fn gates(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * params.columns + i;
  let block = factor_indices(tile, i, params.columns);
  return mat4x4f(gates4(at.x, block.x), gates4(at.y, block.y), gates4(at.z, block.z), gates4(at.w, block.w));
}

fn ups4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(up[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, up_factors[factor_at(block)], block);
}

fn ups(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * params.columns + i;
  let block = factor_indices(tile, i, params.columns);
  return mat4x4f(ups4(at.x, block.x), ups4(at.y, block.y), ups4(at.z, block.z), ups4(at.w, block.w));
}

// Lane j < 4 finishes output n + j.
fn finish(lane: Lane, row: u32, n: u32, tile: Tile, gate_partial: vec4f, up_partial: vec4f) {
  let gate_sums = sum_lanes4(lane, gate_partial);
  let up_sums = sum_lanes4(lane, up_partial);
  let j = lane.index;
  if (j >= 4u) { return; }
  if (!tile.inside[j]) { return; }
  out[row * params.outputs + n + j] = silu(gate_sums[j]) * up_sums[j];
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let rows = step_rows();
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let n = params.first + flat(group, grid) / row_tiles * 4u;
  if (n >= params.first + params.count) { return; }
  let tile = tile_at(0u, n, params.outputs, params.first, params.count);
  let source = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * params.columns;
  var gate0 = vec4f();
  var gate1 = vec4f();
  var gate2 = vec4f();
  var gate3 = vec4f();
  var up0 = vec4f();
  var up1 = vec4f();
  var up2 = vec4f();
  var up3 = vec4f();
  for (var i = lane.index; i < params.columns; i += LANES) {
    let g = gates(tile, i);
    let u = ups(tile, i);
    gate0 += x[source.x + i] * g;
    up0 += x[source.x + i] * u;
    if (ROWS > 1u) {
      gate1 += x[source.y + i] * g;
      up1 += x[source.y + i] * u;
      gate2 += x[source.z + i] * g;
      up2 += x[source.z + i] * u;
      gate3 += x[source.w + i] * g;
      up3 += x[source.w + i] * u;
    }
  }
  finish(lane, row, n, tile, gate0, up0);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, row + 1u, n, tile, gate1, up1); }
    if (row + 2u < rows) { finish(lane, row + 2u, n, tile, gate2, up2); }
    if (row + 3u < rows) { finish(lane, row + 3u, n, tile, gate3, up3); }
  }
}
