// out[r, n] = y[r] · weight[n] + bias[n], or if ADD that more than it was, for up to 32 rows and the rows n in the part of the weight that
// is bound: as decode_product.wgsl does for few rows. y = x, or if NORM its RMSNorm (spec c.1).
// If PAIR, also other_out[r, n] = y[r] · other_weight[n], by workgroups behind those of the first.
// One workgroup of LANES per 8 · ACROSS outputs (lib/batch_tile.wgsl). OUTPUTS: rows are the step's outputs. BIAS: there is one.

const TILE_COLUMNS = 8u * ACROSS;

struct Params {
  outputs: u32, // N
  other_outputs: u32, // N'
  first: u32, // row of the part
  count: u32, // rows of the part
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> weight: array<weight4>; // [N, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> other_weight: array<weight4>; // [N', K]
@group(0) @binding(7) var<storage, read> other_factors: array<factor>; // [N' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(9) var<storage, read_write> out: array<f32>; // [T, N]
@group(0) @binding(10) var<storage, read_write> other_out: array<f32>; // [T, N']

var<private> rows: u32;
var<private> is_other: bool;
var<private> first_output: u32;

// Where a row of a weight begins, in vec4s, and its row of factors.
struct WeightRow {
  at: u32,
  block: u32,
}

fn tile_of_output(n: u32) -> Tile {
  if (is_other) { return tile_at(0u, n, params.other_outputs, 0u, params.other_outputs); }
  return tile_at(0u, n, params.outputs, params.first, params.count);
}

fn weight_row(row: u32) -> WeightRow {
  let tile = tile_of_output(first_output + row);
  return WeightRow(tile.rows.x * COLUMNS, factor_indices(tile, 0u, COLUMNS).x);
}

fn weights_at(row: WeightRow, k: u32) -> held4 {
  let at = row.at + k;
  let block = row.block + 4u * k / BLOCK_COLUMNS;
  if (PAIR && is_other) {
    if (!SCALED) { return held_of(other_weight[weight4_at(at)], at); }
    return held_scaled(other_weight[weight4_at(at)], at, other_factors[factor_at(block)], block);
  }
  if (!SCALED) { return held_of(weight[weight4_at(at)], at); }
  return held_scaled(weight[weight4_at(at)], at, factors[factor_at(block)], block);
}

// The row of x that is the tile's `row`; past the last one that one again.
fn x_row(row: u32) -> u32 {
  let r = min(row, rows - 1u);
  if (OUTPUTS) { return step_output(r); }
  return r;
}

// What a sum is added to. Reads are in no condition, so that several are under way at once.
fn start_at(row: u32, n: u32) -> f32 {
  var value = 0.0;
  if (BIAS) { value = bias[n]; }
  if (ADD) { value += out[row * params.outputs + n]; }
  return value;
}

fn starts_at(row: u32, n: u32) -> vec4f {
  if (!(BIAS || ADD)) { return vec4f(); }
  return vec4f(start_at(row, n), start_at(row, n + 1u), start_at(row, n + 2u), start_at(row, n + 3u));
}

fn write(row: u32, n: u32, value: f32) {
  if (!tile_of_output(n).inside.x) { return; }
  if (PAIR && is_other) { other_out[row * params.other_outputs + n] = value; } else { out[row * params.outputs + n] = value; }
}

fn finish(lane: u32, round: u32) {
  gather(lane, round);
  for (var i = lane; i < SLOTS * GROUP_LANES; i += LANES) {
    let half = i / GROUP_LANES % 2u;
    let row = row_of(round, i / (2u * GROUP_LANES) * GROUP_LANES + i % GROUP_LANES);
    if (row >= rows) { continue; }
    let n = first_output + i % ACROSS * 8u + half * 4u;
    let starts = starts_at(row, n);
    var sums = group_sums(i / GROUP_LANES, i % GROUP_LANES);
    if (NORM) { sums *= row_scales[row]; }
    sums += starts;
    write(row, n, sums.x);
    write(row, n + 1u, sums.y);
    write(row, n + 2u, sums.z);
    write(row, n + 3u, sums.w);
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  rows = select(step_rows(), step_outputs(), OUTPUTS);
  let tiles = (params.count + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let tile = flat(group, grid);
  is_other = PAIR && tile >= tiles;
  first_output = select(params.first + tile * TILE_COLUMNS, (tile - tiles) * TILE_COLUMNS, is_other);
  if (!PAIR && tile >= tiles) { return; }
  add_up(lane);
  for (var round = 0u; round < 2u; round++) { finish(lane, round); }
}
