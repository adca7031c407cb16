// out[t, k] = silu(n[t] · gate[e]) ⊙ (n[t] · up[e]) as in decode_gate_up.wgsl, for devices that compute on a CPU, whose K is a multiple
// of 16. Without ROUTED there is one matrix for all rows, e = 0, and PER_ROW is 1.
// One workgroup of LANES per choice and LANE_ROWS · LANES outputs. Each lane has four rows of both matrices to itself, and the
// lanes load a strip of n each for all (lib/strip.wgsl).

struct Params {
  columns: u32, // K / 4
  outputs: u32, // I
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
  shared_outputs: u32,
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32x8>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<weight16>; // [E, I, K]
@group(0) @binding(5) var<storage, read> gate_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> up: array<weight16>; // [E, I, K]
@group(0) @binding(7) var<storage, read> up_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read> ids: array<u32>; // [T, PER_ROW]
@group(0) @binding(9) var<storage, read_write> out: array<f32>; // [T, PER_ROW, I]
@group(0) @binding(10) var<storage, read> shared_gate: array<weight16>; // [I', K]
@group(0) @binding(11) var<storage, read> shared_gate_factors: array<factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(12) var<storage, read> shared_up: array<weight16>; // [I', K]
@group(0) @binding(13) var<storage, read> shared_up_factors: array<factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(14) var<storage, read_write> shared_out: array<f32>; // [T, I']

fn gates16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(gate[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, gate_factors[factor_at(block)], block);
}

fn ups16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(up[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, up_factors[factor_at(block)], block);
}

fn shared_gates16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(shared_gate[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, shared_gate_factors[factor_at(block)], block);
}

fn shared_ups16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(shared_up[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, shared_up_factors[factor_at(block)], block);
}

// The weights of a tile's rows at columns 16i … 16i + 15.
fn gates(tile: Tile, i: u32, is_shared: bool) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  if (SHARED && is_shared) {
    return FourStrips(
      shared_gates16(at.x, block.x),
      shared_gates16(at.y, block.y),
      shared_gates16(at.z, block.z),
      shared_gates16(at.w, block.w),
    );
  }
  return FourStrips(gates16(at.x, block.x), gates16(at.y, block.y), gates16(at.z, block.z), gates16(at.w, block.w));
}

fn ups(tile: Tile, i: u32, is_shared: bool) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  if (SHARED && is_shared) {
    return FourStrips(
      shared_ups16(at.x, block.x),
      shared_ups16(at.y, block.y),
      shared_ups16(at.z, block.z),
      shared_ups16(at.w, block.w),
    );
  }
  return FourStrips(ups16(at.x, block.x), ups16(at.y, block.y), ups16(at.z, block.z), ups16(at.w, block.w));
}

// silu(gate) ⊙ up for a tile's rows.
fn activated(lane: u32, t: u32, tile: Tile, is_shared: bool) -> vec4f {
  var gate_sums = vec4f();
  var up_sums = vec4f();
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
    let count = min(LANES, size - i);
    for (var j = 0u; j < count; j++) { gate_sums += products(strip_of(held, j), gates(tile, i + j, is_shared)); }
    for (var j = 0u; j < count; j++) { up_sums += products(strip_of(held, j), ups(tile, i + j, is_shared)); }
  }
  let root = sqrt(subgroupAdd(squares) / f32(4u * params.columns) + params.epsilon);
  let values = gate_sums / root;
  return values / (1.0 + exp(-values)) * up_sums / root;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let tiles = (params.outputs + LANE_ROWS * LANES - 1u) / (LANE_ROWS * LANES);
  let routed = step_rows() * PER_ROW * tiles;
  let index = flat(group, grid);
  if (index < routed) {
    let choice = index / tiles;
    var expert = 0u;
    if (ROUTED) { expert = ids[choice]; }
    let n = spread_rows(index % tiles * LANES + lane, params.outputs);
    let tile = tile_of(expert, n, params.outputs, params.first, params.count);
    if (!subgroupAny(any(tile.inside))) { return; }
    let values = activated(lane, choice / PER_ROW, tile, false);
    for (var j = 0u; j < 4u; j++) {
      if (tile.inside[j]) { out[choice * params.outputs + n[j]] = values[j]; }
    }
  } else if (SHARED) {
    let shared_tiles = (params.shared_outputs + LANE_ROWS * LANES - 1u) / (LANE_ROWS * LANES);
    let t = (index - routed) / shared_tiles;
    if (t >= step_rows()) { return; }
    let n = spread_rows((index - routed) % shared_tiles * LANES + lane, params.shared_outputs);
    let tile = tile_of(0u, n, params.shared_outputs, 0u, params.shared_outputs);
    let values = activated(lane, t, tile, true);
    for (var j = 0u; j < 4u; j++) {
      if (tile.inside[j]) { shared_out[t * params.shared_outputs + n[j]] = values[j]; }
    }
  }
}
