// out[t, k] = silu(n[t] · gate[e]) ⊙ (n[t] · up[e]) with n = norm(x) and e = ids[t, k] (spec c.10); if SHARED, after the PER_ROW
// choices of a row one more, of matrices of their own. The norm's sum of squares is taken on the way and divides at the end.
// One workgroup of LANES per choice and 4 outputs; its lanes share out K.

struct Params {
  columns: u32, // K / 4
  outputs: u32, // I
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
  shared_outputs: u32,
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<weight4>; // [E, I, K]
@group(0) @binding(5) var<storage, read> gate_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> up: array<weight4>; // [E, I, K]
@group(0) @binding(7) var<storage, read> up_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read> ids: array<u32>; // [T, PER_ROW]
@group(0) @binding(9) var<storage, read_write> out: array<f32>; // [T, PER_ROW, I]
@group(0) @binding(10) var<storage, read> shared_gate: array<weight4>; // [I', K]
@group(0) @binding(11) var<storage, read> shared_gate_factors: array<factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(12) var<storage, read> shared_up: array<weight4>; // [I', K]
@group(0) @binding(13) var<storage, read> shared_up_factors: array<factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(14) var<storage, read_write> shared_out: array<f32>; // [T, I']

fn gates4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(gate[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, gate_factors[factor_at(block)], block);
}

fn ups4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(up[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, up_factors[factor_at(block)], block);
}

fn shared_gates4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(shared_gate[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, shared_gate_factors[factor_at(block)], block);
}

fn shared_ups4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(shared_up[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, shared_up_factors[factor_at(block)], block);
}

struct Products {
  gates: vec4f,
  ups: vec4f,
  squares: vec4f,
}

fn routed_products(lane: Lane, source: u32, tile: Tile) -> Products {
  var sums = Products();
  for (var i = lane.index; i < params.columns; i += LANES) {
    let at = tile.rows * params.columns + i;
    let block = factor_indices(tile, i, params.columns);
    let g = mat4x4f(gates4(at.x, block.x), gates4(at.y, block.y), gates4(at.z, block.z), gates4(at.w, block.w));
    let u = mat4x4f(ups4(at.x, block.x), ups4(at.y, block.y), ups4(at.z, block.z), ups4(at.w, block.w));
    let value = x[source + i];
    let weighted = value * norm[i];
    sums.gates += weighted * g;
    sums.ups += weighted * u;
    sums.squares += value * value;
  }
  return sums;
}

fn shared_products(lane: Lane, source: u32, tile: Tile) -> Products {
  var sums = Products();
  for (var i = lane.index; i < params.columns; i += LANES) {
    let at = tile.rows * params.columns + i;
    let block = factor_indices(tile, i, params.columns);
    let g = mat4x4f(
      shared_gates4(at.x, block.x),
      shared_gates4(at.y, block.y),
      shared_gates4(at.z, block.z),
      shared_gates4(at.w, block.w),
    );
    let u = mat4x4f(
      shared_ups4(at.x, block.x),
      shared_ups4(at.y, block.y),
      shared_ups4(at.z, block.z),
      shared_ups4(at.w, block.w),
    );
    let value = x[source + i];
    let weighted = value * norm[i];
    sums.gates += weighted * g;
    sums.ups += weighted * u;
    sums.squares += value * value;
  }
  return sums;
}

// silu(gate) ⊙ up of the tile's four outputs.
fn activate(lane: Lane, sums: Products) -> vec4f {
  let squares = sum_lanes4(lane, sums.squares);
  let mean = (squares.x + squares.y + squares.z + squares.w) / f32(4u * params.columns);
  let scale = 1.0 / sqrt(mean + params.epsilon);
  let gates = sum_lanes4(lane, sums.gates) * scale;
  let ups = sum_lanes4(lane, sums.ups) * scale;
  return vec4f(silu(gates.x), silu(gates.y), silu(gates.z), silu(gates.w)) * ups;
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let routed_tiles = (params.outputs + 3u) / 4u;
  let routed = step_rows() * PER_ROW * routed_tiles;
  let index = flat(group, grid);
  let j = lane.index;
  if (index < routed) {
    let choice = index / routed_tiles;
    let n = index % routed_tiles * 4u;
    let tile = tile_at(ids[choice], n, params.outputs, params.first, params.count);
    if (!any(tile.inside)) { return; }
    let values = activate(lane, routed_products(lane, choice / PER_ROW * params.columns, tile));
    if (j < 4u) {
      if (tile.inside[j]) { out[choice * params.outputs + n + j] = values[j]; }
    }
  } else if (SHARED) {
    let tiles = (params.shared_outputs + 3u) / 4u;
    let t = (index - routed) / tiles;
    let n = (index - routed) % tiles * 4u;
    if (t >= step_rows()) { return; }
    let tile = tile_at(0u, n, params.shared_outputs, 0u, params.shared_outputs);
    let values = activate(lane, shared_products(lane, t * params.columns, tile));
    if (j < 4u) {
      if (tile.inside[j]) { shared_out[t * params.shared_outputs + n + j] = values[j]; }
    }
  }
}
