// out[t, k] = silu(n[t] · gate[e]) ⊙ (n[t] · up[e]) with n = norm(x) and e the expert of the choice (spec c.10); if SHARED, after the
// choices every row once more, with matrices of their own. The norm's sum of squares is taken on the way and divides at the end.
// One workgroup of LANES per 4 outputs of up to ROWS choices that share an expert (lib/choices.wgsl); its lanes share out K, in the
// same way whatever the rows are. COLUMNS: K / 4. ROWS: 1 or 2.

struct Params {
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
@group(0) @binding(8) var<storage, read> chosen: array<u32>; // [T, PER_ROW], or sorted
@group(0) @binding(9) var<storage, read_write> out: array<f32>; // [T, PER_ROW, I]
@group(0) @binding(10) var<storage, read> shared_gate: array<shared4>; // [I', K]
@group(0) @binding(11) var<storage, read> shared_gate_factors: array<shared_factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(12) var<storage, read> shared_up: array<shared4>; // [I', K]
@group(0) @binding(13) var<storage, read> shared_up_factors: array<shared_factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(14) var<storage, read_write> shared_out: array<f32>; // [T, I']

// Steps whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const UNROLL = select(select(1u, 2u, COLUMNS % (2u * LANES) == 0u), 4u, COLUMNS % (4u * LANES) == 0u);

struct Products {
  gates: vec4f,
  ups: vec4f,
  squares: vec4f,
}

// Of each row.
var<private> products0: Products;
var<private> products1: Products;

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
  let codes = load_shared4(shared_gate[shared4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled_shared(codes, shared_gate_factors[shared_factor_at(block)], block);
}

fn shared_ups4(at: u32, block: u32) -> vec4f {
  let codes = load_shared4(shared_up[shared4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled_shared(codes, shared_up_factors[shared_factor_at(block)], block);
}

fn added(sums: Products, value: vec4f, weight: vec4f, g: mat4x4f, u: mat4x4f) -> Products {
  let weighted = value * weight;
  return Products(sums.gates + weighted * g, sums.ups + weighted * u, sums.squares + value * value);
}

// Adds the products of columns 4i … 4i + 3.
fn add_products(i: u32, sources: vec2u, g: mat4x4f, u: mat4x4f) {
  let weight = norm[i];
  products0 = added(products0, x[sources.x + i], weight, g, u);
  if (ROWS > 1u) { products1 = added(products1, x[sources.y + i], weight, g, u); }
}

fn add_routed(i: u32, sources: vec2u, tile: Tile) {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  let g = mat4x4f(gates4(at.x, block.x), gates4(at.y, block.y), gates4(at.z, block.z), gates4(at.w, block.w));
  let u = mat4x4f(ups4(at.x, block.x), ups4(at.y, block.y), ups4(at.z, block.z), ups4(at.w, block.w));
  add_products(i, sources, g, u);
}

fn add_all_routed(lane: Lane, sources: vec2u, tile: Tile) {
  for (var i = lane.index; i < COLUMNS; i += UNROLL * LANES) {
    add_routed(i, sources, tile);
    if (UNROLL > 1u) { add_routed(i + LANES, sources, tile); }
    if (UNROLL > 2u) {
      add_routed(i + 2u * LANES, sources, tile);
      add_routed(i + 3u * LANES, sources, tile);
    }
  }
}

fn add_shared(i: u32, sources: vec2u, tile: Tile) {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
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
  add_products(i, sources, g, u);
}

fn add_all_shared(lane: Lane, sources: vec2u, tile: Tile) {
  for (var i = lane.index; i < COLUMNS; i += UNROLL * LANES) {
    add_shared(i, sources, tile);
    if (UNROLL > 1u) { add_shared(i + LANES, sources, tile); }
    if (UNROLL > 2u) {
      add_shared(i + 2u * LANES, sources, tile);
      add_shared(i + 3u * LANES, sources, tile);
    }
  }
}

// silu(gate) ⊙ up of the tile's four outputs, of one row.
fn activate(lane: Lane, sums: Products) -> vec4f {
  let squares = sum_lanes4(lane, sums.squares);
  let mean = (squares.x + squares.y + squares.z + squares.w) / f32(4u * COLUMNS);
  let scale = 1.0 / sqrt(mean + params.epsilon);
  let gates = sum_lanes4(lane, sums.gates) * scale;
  let ups = sum_lanes4(lane, sums.ups) * scale;
  return vec4f(silu(gates.x), silu(gates.y), silu(gates.z), silu(gates.w)) * ups;
}

// Lane j < 4 writes output n + j.
fn write_routed(j: u32, choice: u32, n: u32, tile: Tile, values: vec4f) {
  if (j >= 4u) { return; }
  if (tile.inside[j]) { out[choice * params.outputs + n + j] = values[j]; }
}

fn write_shared(j: u32, t: u32, n: u32, tile: Tile, values: vec4f) {
  if (j >= 4u) { return; }
  if (tile.inside[j]) { shared_out[t * params.shared_outputs + n + j] = values[j]; }
}

fn routed(lane: Lane, index: u32, n: u32) {
  let choices = choices_at(index);
  if (choices.count == 0u) { return; }
  let tile = tile_at(choices.expert, n, params.outputs, params.first, params.count);
  if (!any(tile.inside)) { return; }
  add_all_routed(lane, choices.at / PER_ROW * COLUMNS, tile);
  let j = lane.index;
  write_routed(j, choices.at.x, n, tile, activate(lane, products0));
  if (ROWS > 1u && choices.count > 1u) { write_routed(j, choices.at.y, n, tile, activate(lane, products1)); }
}

fn shared_expert(lane: Lane, t: u32, n: u32) {
  let last = row_count() - 1u;
  let tile = tile_at(0u, n, params.shared_outputs, 0u, params.shared_outputs);
  let rows = min(vec2u(t, t + 1u), vec2u(last));
  add_all_shared(lane, rows * COLUMNS, tile);
  let j = lane.index;
  write_shared(j, rows.x, n, tile, activate(lane, products0));
  if (ROWS > 1u && t < last) { write_shared(j, rows.y, n, tile, activate(lane, products1)); }
}

// A plan of one row has one, whatever the step says.
fn row_count() -> u32 {
  if (ROWS == 1u) { return 1u; }
  return step_rows();
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  let blocks = (params.outputs + 3u) / 4u;
  // The shared expert's rows lie among the first, which are full.
  let shared_blocks = (params.shared_outputs + 3u) / 4u;
  let first_routed = select(0u, (row_count() + ROWS - 1u) / ROWS * shared_blocks, SHARED);
  if (index < first_routed) {
    if (SHARED) { shared_expert(lane, index / shared_blocks * ROWS, index % shared_blocks * 4u); }
  } else {
    routed(lane, (index - first_routed) / blocks, (index - first_routed) % blocks * 4u);
  }
}
