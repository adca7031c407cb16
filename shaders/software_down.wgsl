// hidden[t, h] += Σ_k weights[t, k] · (x[t, k] · down[e, h]), and if SHARED shared_x[t] · shared_down[h], as in decode_down.wgsl, for
// devices that compute on a CPU, whose I and I' are multiples of 16.
// One workgroup of LANES per row and LANE_ROWS · LANES outputs. Each lane has four rows of every matrix to itself, and the lanes
// load a strip of x each for all (lib/strip.wgsl).

struct Params {
  columns: u32, // I / 4
  outputs: u32, // H
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
  shared_columns: u32, // I' / 4
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32x8>; // [T, PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<weight16>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> ids: array<u32>; // [T, PER_ROW]
@group(0) @binding(6) var<storage, read> weights: array<f32>; // [T, PER_ROW]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [T, H]
@group(0) @binding(8) var<storage, read> shared_x: array<f32x8>; // [T, I']
@group(0) @binding(9) var<storage, read> shared_down: array<weight16>; // [H, I']
@group(0) @binding(10) var<storage, read> shared_factors: array<factor>; // [H / BLOCK_ROWS, I' / BLOCK_COLUMNS]

fn downs16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(down[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, factors[factor_at(block)], block);
}

fn downs(tile: Tile, i: u32) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  return FourStrips(downs16(at.x, block.x), downs16(at.y, block.y), downs16(at.z, block.z), downs16(at.w, block.w));
}

fn shared16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(shared_down[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, shared_factors[factor_at(block)], block);
}

fn shared_downs(tile: Tile, i: u32) -> FourStrips {
  let at = tile.rows * (params.shared_columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.shared_columns);
  return FourStrips(shared16(at.x, block.x), shared16(at.y, block.y), shared16(at.z, block.z), shared16(at.w, block.w));
}

fn routed_products(lane: u32, choice: u32, tile: Tile) -> vec4f {
  var sums = vec4f();
  let size = params.columns / 4u;
  for (var i = 0u; i < size; i += LANES) {
    var held = Strip();
    let at = choice * (params.columns / 2u) + 2u * (i + lane);
    if (i + lane < size) { held = strip_at(x[at], x[at + 1u]); }
    for (var j = 0u; j < min(LANES, size - i); j++) { sums += products(strip_of(held, j), downs(tile, i + j)); }
  }
  return sums;
}

fn shared_products(lane: u32, t: u32, tile: Tile) -> vec4f {
  var sums = vec4f();
  let size = params.shared_columns / 4u;
  for (var i = 0u; i < size; i += LANES) {
    var held = Strip();
    let at = t * (params.shared_columns / 2u) + 2u * (i + lane);
    if (i + lane < size) { held = strip_at(shared_x[at], shared_x[at + 1u]); }
    for (var j = 0u; j < min(LANES, size - i); j++) { sums += products(strip_of(held, j), shared_downs(tile, i + j)); }
  }
  return sums;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let tiles = (params.outputs + LANE_ROWS * LANES - 1u) / (LANE_ROWS * LANES);
  let t = flat(group, grid) / tiles;
  if (t >= step_rows()) { return; }
  let h = spread_rows(flat(group, grid) % tiles * LANES + lane, params.outputs);
  var sums = vec4f();
  for (var k = 0u; k < PER_ROW; k++) {
    let choice = t * PER_ROW + k;
    let tile = tile_of(ids[choice], h, params.outputs, params.first, params.count);
    if (!subgroupAny(any(tile.inside))) { continue; }
    sums += select(vec4f(), weights[choice] * routed_products(lane, choice, tile), tile.inside);
  }
  if (SHARED) { sums += shared_products(lane, t, tile_of(0u, h, params.outputs, 0u, params.outputs)); }
  for (var j = 0u; j < 4u; j++) {
    if (h[j] < params.outputs) { hidden[t * params.outputs + h[j]] += sums[j]; }
  }
}
