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

// What a lane finishes of the lanes' i-th rows: the outputs n, n + ACROSS, … of a row; none if it is not among the first.
struct Finish {
  any: bool,
  lane: u32, // of a group
  half: u32,
  n: u32,
}
var<private> own: Finish;

fn row_of(i: u32) -> u32 { return 4u * i + own.lane / ACROSS; }

fn start_at(row: u32, n: u32) -> f32 {
  if (!tile_of_output(n).inside.x) { return 0.0; }
  var value = 0.0;
  if (BIAS) { value = bias[n]; }
  if (ADD) { value += out[row * params.outputs + n]; }
  return value;
}

// What the sums of a row are added to.
fn starts_of(i: u32) -> vec4f {
  if (!(BIAS || ADD)) { return vec4f(); }
  let row = row_of(i);
  if (!own.any || row >= rows) { return vec4f(); }
  return vec4f(
    start_at(row, own.n),
    start_at(row, own.n + ACROSS),
    start_at(row, own.n + 2u * ACROSS),
    start_at(row, own.n + 3u * ACROSS),
  );
}

fn write(row: u32, n: u32, value: f32) {
  if (!tile_of_output(n).inside.x) { return; }
  if (PAIR && is_other) { other_out[row * params.other_outputs + n] = value; } else { out[row * params.outputs + n] = value; }
}

fn finish(lane: u32, i: u32, low: vec4f, high: vec4f, starts: vec4f) {
  gather(lane, low, high);
  let row = row_of(i);
  if (!own.any || row >= rows) { return; }
  var values = group_sum(own.half, own.lane);
  if (NORM) { values *= row_scales[row]; }
  values += starts;
  write(row, own.n, values.x);
  write(row, own.n + ACROSS, values.y);
  write(row, own.n + 2u * ACROSS, values.z);
  write(row, own.n + 3u * ACROSS, values.w);
}

// The reads of all rows' starts are under way at once.
fn finish_all(lane: u32) {
  let half = lane / GROUP_LANES;
  own = Finish(half < 2u, lane % GROUP_LANES, half, first_output + 4u * half * ACROSS + lane % ACROSS);
  let starts0 = mat4x4f(starts_of(0u), starts_of(1u), starts_of(2u), starts_of(3u));
  let starts1 = mat4x4f(starts_of(4u), starts_of(5u), starts_of(6u), starts_of(7u));
  finish(lane, 0u, low0[0], high0[0], starts0[0]);
  finish(lane, 1u, low0[1], high0[1], starts0[1]);
  finish(lane, 2u, low0[2], high0[2], starts0[2]);
  finish(lane, 3u, low0[3], high0[3], starts0[3]);
  finish(lane, 4u, low1[0], high1[0], starts1[0]);
  finish(lane, 5u, low1[1], high1[1], starts1[1]);
  finish(lane, 6u, low1[2], high1[2], starts1[2]);
  finish(lane, 7u, low1[3], high1[3], starts1[3]);
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
  finish_all(lane);
}
