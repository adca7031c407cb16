// out[r, n] = silu(y[r] · gate[n]) ⊙ (y[r] · up[n]) for up to 32 rows, y being the RMSNorm of x (spec c.1, c.10).
// One workgroup of LANES per 4 · ACROSS outputs (lib/batch_tile.wgsl): the tile's first half are rows of gate, the other half of up.

const NORM = true;
const TILE_COLUMNS = 4u * ACROSS;

struct Params {
  outputs: u32, // N
  first: u32, // row of the part
  count: u32, // rows of the part
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<weight4>; // [N, K]
@group(0) @binding(5) var<storage, read> gate_factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> up: array<weight4>; // [N, K]
@group(0) @binding(7) var<storage, read> up_factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, N]

var<private> first_output: u32;

struct WeightRow {
  is_up: bool,
  at: u32, // in vec4s
  block: u32, // of factors
}

fn tile_of_output(n: u32) -> Tile { return tile_at(0u, n, params.outputs, params.first, params.count); }

fn weight_row(row: u32) -> WeightRow {
  let tile = tile_of_output(first_output + row % TILE_COLUMNS);
  return WeightRow(row >= TILE_COLUMNS, tile.rows.x * COLUMNS, factor_indices(tile, 0u, COLUMNS).x);
}

fn weights_at(row: WeightRow, k: u32) -> held4 {
  let at = row.at + k;
  let block = row.block + 4u * k / BLOCK_COLUMNS;
  if (row.is_up) {
    if (!SCALED) { return held_of(up[weight4_at(at)], at); }
    return held_scaled(up[weight4_at(at)], at, up_factors[factor_at(block)], block);
  }
  if (!SCALED) { return held_of(gate[weight4_at(at)], at); }
  return held_scaled(gate[weight4_at(at)], at, gate_factors[factor_at(block)], block);
}

// Past the last row that one again.
fn x_row(row: u32) -> u32 { return min(row, step_rows() - 1u); }

// Finishes the lanes' i-th rows: four outputs a lane of the first group.
fn finish(lane: u32, i: u32, low: vec4f, high: vec4f) {
  gather(lane, low, high);
  let row = 4u * i + lane / ACROSS;
  if (lane >= GROUP_LANES || row >= step_rows()) { return; }
  let gates = group_sum(0u, lane) * row_scales[row];
  let ups = group_sum(1u, lane) * row_scales[row];
  let values = vec4f(silu(gates.x), silu(gates.y), silu(gates.z), silu(gates.w)) * ups;
  let n = first_output + lane % ACROSS;
  let at = row * params.outputs + n;
  if (tile_of_output(n).inside.x) { out[at] = values.x; }
  if (tile_of_output(n + ACROSS).inside.x) { out[at + ACROSS] = values.y; }
  if (tile_of_output(n + 2u * ACROSS).inside.x) { out[at + 2u * ACROSS] = values.z; }
  if (tile_of_output(n + 3u * ACROSS).inside.x) { out[at + 3u * ACROSS] = values.w; }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  first_output = params.first + flat(group, grid) * TILE_COLUMNS;
  if (first_output >= params.first + params.count) { return; }
  add_up(lane);
  finish(lane, 0u, low0[0], high0[0]);
  finish(lane, 1u, low0[1], high0[1]);
  finish(lane, 2u, low0[2], high0[2]);
  finish(lane, 3u, low0[3], high0[3]);
  finish(lane, 4u, low1[0], high1[0]);
  finish(lane, 5u, low1[1], high1[1]);
  finish(lane, 6u, low1[2], high1[2]);
  finish(lane, 7u, low1[3], high1[3]);
}
