// ids[t] = the experts chosen for row t, weights[t] = their scores, from norm(x[t]) · map[e], as decode_product.wgsl and route.wgsl do
// it. For devices that compute on a CPU, whose K is a multiple of 16: what is small goes in one dispatch, which costs as much as the work.
// One workgroup of LANES per row. Each lane has four rows of the map at a time to itself (lib/strip.wgsl).

struct Params {
  columns: u32, // K / 4
  scale: f32, // of the weights
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32x8>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [K]
@group(0) @binding(4) var<storage, read> map: array<weight16>; // [EXPERTS, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [EXPERTS / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(7) var<storage, read_write> ids: array<u32>; // [T, PER_TOKEN]
@group(0) @binding(8) var<storage, read_write> weights: array<f32>; // [T, PER_TOKEN]

fn weights16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(map[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, factors[factor_at(block)], block);
}

fn map_weights(tile: Tile, i: u32) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  return FourStrips(
    weights16(at.x, block.x),
    weights16(at.y, block.y),
    weights16(at.z, block.z),
    weights16(at.w, block.w),
  );
}

// norm(x[t]) · the rows of a tile.
fn logits(lane: u32, t: u32, tile: Tile) -> vec4f {
  var sums = vec4f();
  var squares = 0.0;
  let size = params.columns / 4u;
  for (var i = 0u; i < size; i += LANES) {
    var held = Strip();
    if (i + lane < size) {
      let n = 2u * (i + lane);
      let at = t * (params.columns / 2u) + n;
      held = strip_at(x[at], x[at + 1u]);
      squares += dot16(held, held);
      held = times(held, strip_at(norm[n], norm[n + 1u]));
    }
    for (var j = 0u; j < min(LANES, size - i); j++) { sums += products(strip_of(held, j), map_weights(tile, i + j)); }
  }
  return sums / sqrt(subgroupAdd(squares) / f32(4u * params.columns) + params.epsilon);
}

fn fill_logits(lane: u32, t: u32) {
  for (var first = 0u; first < EXPERTS; first += LANE_ROWS * LANES) {
    let count = min(LANE_ROWS * LANES, EXPERTS - first);
    let spread = spread_rows(lane, count);
    let rows = select(vec4u(EXPERTS), first + spread, spread < vec4u(count));
    let values = logits(lane, t, tile_of(0u, rows, EXPERTS, 0u, EXPERTS));
    for (var j = 0u; j < 4u; j++) {
      if (rows[j] < EXPERTS) { scores[rows[j]] = values[j]; }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (t >= step_rows()) { return; }
  fill_logits(lane, t);
  let divisor = choose_experts(lane);
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = scores[chosen[k]] / divisor * params.scale;
  }
}
