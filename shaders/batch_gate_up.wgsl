// out[r, n] = silu(y[r] · gate[n]) ⊙ (y[r] · up[n]) for up to 32 rows, y being the RMSNorm of x (spec c.1, c.10).
// One workgroup of LANES per 4 · ACROSS outputs (lib/batch_tile.wgsl): of eight rows of the tile four are rows of gate, then four of up.

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
  let tile = tile_of_output(first_output + row / 8u * 4u + row % 4u);
  return WeightRow(row % 8u >= 4u, tile.rows.x * COLUMNS, factor_indices(tile, 0u, COLUMNS).x);
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

fn write(row: u32, n: u32, gate_sum: f32, up_sum: f32) {
  if (tile_of_output(n).inside.x) { out[row * params.outputs + n] = silu(gate_sum) * up_sum; }
}

fn finish(lane: u32, round: u32) {
  gather(lane, round);
  for (var i = lane; i < SLOTS / 2u * GROUP_LANES; i += LANES) {
    let row = row_of(round, i);
    if (row >= step_rows()) { continue; }
    let slot = i / GROUP_LANES * 2u;
    let gates = group_sums(slot, i % GROUP_LANES) * row_scales[row];
    let ups = group_sums(slot + 1u, i % GROUP_LANES) * row_scales[row];
    let n = first_output + i % ACROSS * 4u;
    write(row, n, gates.x, ups.x);
    write(row, n + 1u, gates.y, ups.y);
    write(row, n + 2u, gates.z, ups.z);
    write(row, n + 3u, gates.w, ups.w);
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let tiles = (params.count + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let tile = flat(group, grid);
  if (tile >= tiles) { return; }
  first_output = params.first + tile * TILE_COLUMNS;
  add_up(lane);
  for (var round = 0u; round < 2u; round++) { finish(lane, round); }
}
