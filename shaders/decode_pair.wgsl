// out[r, n] = norm(x[r]) · weight[n] and other_out[r, n] = norm(x[r]) · other_weight[n], the norm's squares added up on the way (spec c.1):
// decode_product.wgsl for two maps of one input in one dispatch.
// One workgroup of LANES per 4 outputs and ROWS rows; its lanes share out K, in the same way whatever the rows are.
// COLUMNS: K / 4. ROWS: 1 or 4. SCALED: the weights have factors.

struct Params {
  outputs: u32, // N
  other_outputs: u32, // N'
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> weight: array<weight4>; // [N, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [T, N]
@group(0) @binding(7) var<storage, read> other_weight: array<weight4>; // [N', K]
@group(0) @binding(8) var<storage, read> other_factors: array<factor>; // [N' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(9) var<storage, read_write> other_out: array<f32>; // [T, N']

const NORM = true;

fn input(source: u32, i: u32, row: u32) -> vec4f { return x[source + i] * norm[i]; }

fn weights4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

fn other_weights4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(other_weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, other_factors[factor_at(block)], block);
}

fn add_one(sources: vec4u, tile: Tile, i: u32) {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  let w = mat4x4f(weights4(at.x, block.x), weights4(at.y, block.y), weights4(at.z, block.z), weights4(at.w, block.w));
  add_products(sources, i, w);
}

fn add_other(sources: vec4u, tile: Tile, i: u32) {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  let w = mat4x4f(
    other_weights4(at.x, block.x),
    other_weights4(at.y, block.y),
    other_weights4(at.z, block.z),
    other_weights4(at.w, block.w),
  );
  add_products(sources, i, w);
}

fn add_all_of_one(lane: Lane, sources: vec4u, tile: Tile) {
  for (var i = lane.index; i < COLUMNS; i += UNROLL * LANES) {
    add_one(sources, tile, i);
    if (UNROLL > 1u) { add_one(sources, tile, i + LANES); }
    if (UNROLL > 2u) {
      add_one(sources, tile, i + 2u * LANES);
      add_one(sources, tile, i + 3u * LANES);
    }
  }
}

fn add_all_of_other(lane: Lane, sources: vec4u, tile: Tile) {
  for (var i = lane.index; i < COLUMNS; i += UNROLL * LANES) {
    add_other(sources, tile, i);
    if (UNROLL > 1u) { add_other(sources, tile, i + LANES); }
    if (UNROLL > 2u) {
      add_other(sources, tile, i + 2u * LANES);
      add_other(sources, tile, i + 3u * LANES);
    }
  }
}

// Lane j < 4 finishes output n + j of one of the maps.
fn finish(lane: Lane, is_other: bool, row: u32, n: u32, tile: Tile, partial: vec4f, scale: f32) {
  let values = sum_lanes4(lane, partial) * scale;
  let j = lane.index;
  if (j >= 4u) { return; }
  if (!tile.inside[j]) { return; }
  if (is_other) { other_out[row * params.other_outputs + n + j] = values[j]; } else { out[row * params.outputs + n + j] = values[j]; }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  var rows = 1u; // as many as a plan of one row has, whatever the step says
  if (ROWS > 1u) { rows = step_rows(); }
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let block = flat(group, grid) / row_tiles;
  let blocks = (params.outputs + 3u) / 4u;
  let is_other = block >= blocks;
  let n = select(block, block - blocks, is_other) * 4u;
  let outputs = select(params.outputs, params.other_outputs, is_other);
  if (n >= outputs) { return; }
  let tile = tile_at(0u, n, outputs, 0u, outputs);
  let sources = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * COLUMNS;
  if (is_other) { add_all_of_other(lane, sources, tile); } else { add_all_of_one(lane, sources, tile); }
  let scales = to_scales(sum_lanes4(lane, squares), 4u * COLUMNS);
  finish(lane, is_other, row, n, tile, sums0, scales.x);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, is_other, row + 1u, n, tile, sums1, scales.y); }
    if (row + 2u < rows) { finish(lane, is_other, row + 2u, n, tile, sums2, scales.z); }
    if (row + 3u < rows) { finish(lane, is_other, row + 3u, n, tile, sums3, scales.w); }
  }
}
