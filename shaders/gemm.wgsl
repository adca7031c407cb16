// out[r, n] = x[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound:
// as decode_product.wgsl does, for many rows.
// One workgroup of LANES per tile of ROW_BLOCKS · 4 · DOWN rows and 4 · ACROSS outputs (lib/register_tile.wgsl); ROW_BLOCKS: 1 or 2.
// A sum goes through K in its order, whatever the tile is; with several SPLITS each workgroup goes through a share of K, and out is
// [SPLITS, T, N] for sum_splits.wgsl to add up. OUTPUTS: rows are the step's outputs. BIAS: there is one.
// ROUTED: rows are choices (t, k), in tiles that share an expert's matrix (lib/row_tile.wgsl).

const TILE_ROWS = 4u * ROW_BLOCKS * DOWN;
const TILE_COLUMNS = 4u * ACROSS;

struct Params {
  columns: u32, // K / 4
  outputs: u32, // N
  start: u32, // first n
  column_tiles: u32,
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K] or [T, PER_ROW, K]
@group(0) @binding(3) var<storage, read> weight: array<weight4>; // [E, N, K]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(6) var<storage, read> places: array<u32>; // [ROW_TILES, 4] tiles, then [T, PER_ROW] choices
@group(0) @binding(7) var<storage, read_write> out: array<f32>; // [T, N] or [T, PER_ROW, N]

var<workgroup> x_tile: array<vec4f, TILE_ROWS * DEPTH>;
var<workgroup> w_tile: array<vec4f, TILE_COLUMNS * DEPTH>;

fn weights(tile: Tile, i: u32) -> vec4f {
  let at = tile.rows.x * params.columns + i;
  let codes = load_weight4(weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  let block = factor_indices(tile, i, params.columns).x;
  return scaled(codes, factors[factor_at(block)], block);
}

fn column_at(e: u32, n: u32) -> Tile { return tile_at(e, n, params.outputs, params.first, params.count); }

const X_LOADS = TILE_ROWS * DEPTH / LANES;
const W_LOADS = TILE_COLUMNS * DEPTH / LANES;
const_assert X_LOADS <= 2u && W_LOADS <= 2u;

fn load_x(row: u32, k: u32) -> vec4f { return select(vec4f(), x[row + k], k < params.columns); }

fn load_w(tile: Tile, k: u32) -> vec4f { return select(vec4f(), weights(tile, k), k < params.columns); }

fn x_at(k: u32, row: u32) -> mat4x4f {
  return transpose(mat4x4f(
    x_tile[held_at(k, row, TILE_ROWS)],
    x_tile[held_at(k, row + DOWN, TILE_ROWS)],
    x_tile[held_at(k, row + 2u * DOWN, TILE_ROWS)],
    x_tile[held_at(k, row + 3u * DOWN, TILE_ROWS)],
  ));
}

fn w_at(k: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    w_tile[held_at(k, column, TILE_COLUMNS)],
    w_tile[held_at(k, column + ACROSS, TILE_COLUMNS)],
    w_tile[held_at(k, column + 2u * ACROSS, TILE_COLUMNS)],
    w_tile[held_at(k, column + 3u * ACROSS, TILE_COLUMNS)],
  );
}

// Sums of a thread's blocks of rows.
var<private> sums0: mat4x4f;
var<private> sums1: mat4x4f;

fn advance(k: u32, at: vec2u) {
  let x0 = x_at(k, at.y);
  let w0 = w_at(k, at.x);
  sums0 = multiply(sums0, x0, w0);
  if (ROW_BLOCKS > 1u) {
    let x1 = x_at(k, at.y + 4u * DOWN);
    sums1 = multiply(sums1, x1, w0);
  }
}

var<private> split: u32;
var<private> split_rows: u32; // rows of each split in out

fn write(rows: RowTile, row: u32, n: u32, sum: f32) {
  if (row >= rows.count) { return; }
  let at = (split * split_rows + tile_rows[row]) * params.outputs + n;
  var value = sum;
  if (BIAS) { value += bias[n]; }
  if (ADD) { value += out[at]; }
  out[at] = value;
}

fn write_column(rows: RowTile, row: u32, n: u32, column: vec4f) {
  if (!column_at(rows.expert, n).inside.x) { return; }
  write(rows, row, n, column.x);
  write(rows, row + DOWN, n, column.y);
  write(rows, row + 2u * DOWN, n, column.z);
  write(rows, row + 3u * DOWN, n, column.w);
}

// No loop: an index that is no constant would keep the sums out of registers.
fn write_block(rows: RowTile, row: u32, n: u32, block: mat4x4f) {
  write_column(rows, row, n, block[0]);
  write_column(rows, row, n + ACROSS, block[1]);
  write_column(rows, row, n + 2u * ACROSS, block[2]);
  write_column(rows, row, n + 3u * ACROSS, block[3]);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  // Neighbouring workgroups take the same weights to other rows.
  let all_rows = select(step_rows(), step_outputs(), OUTPUTS);
  let row_tiles = select((all_rows + TILE_ROWS - 1u) / TILE_ROWS, ROW_TILES, ROUTED);
  split = flat(group, grid) % SPLITS;
  split_rows = select(0u, all_rows, SPLITS > 1u);
  let column_tile = flat(group, grid) / SPLITS / row_tiles;
  if (column_tile >= params.column_tiles) { return; }
  let rows = take_rows(lane, flat(group, grid) / SPLITS % row_tiles, all_rows);
  if (rows.count == 0u) { return; }
  let n = params.start + column_tile * TILE_COLUMNS;
  let at = thread_at(lane);
  workgroupBarrier(); // tile_rows are known
  let part = lane % DEPTH;
  let held = vec2u(lane / DEPTH, (lane + LANES) / DEPTH);
  let row0 = tile_rows[held.x] * params.columns;
  let row1 = tile_rows[min(held.y, TILE_ROWS - 1u)] * params.columns;
  let column0 = column_at(rows.expert, n + held.x);
  let column1 = column_at(rows.expert, n + held.y);
  let span = (params.columns + SPLITS * DEPTH - 1u) / (SPLITS * DEPTH) * DEPTH;
  let begin = split * span;
  let end = min(begin + span, params.columns);
  var x0 = load_x(row0, begin + part);
  var x1 = vec4f();
  var w0 = load_w(column0, begin + part);
  var w1 = vec4f();
  if (X_LOADS > 1u) { x1 = load_x(row1, begin + part); }
  if (W_LOADS > 1u) { w1 = load_w(column1, begin + part); }
  for (var base = begin; base < end; base += DEPTH) {
    workgroupBarrier(); // the columns before may still be being read
    x_tile[held_at(part, held.x, TILE_ROWS)] = x0;
    w_tile[held_at(part, held.x, TILE_COLUMNS)] = w0;
    if (X_LOADS > 1u) { x_tile[held_at(part, held.y, TILE_ROWS)] = x1; }
    if (W_LOADS > 1u) { w_tile[held_at(part, held.y, TILE_COLUMNS)] = w1; }
    workgroupBarrier();
    // The next columns are on their way while these are multiplied.
    let next = base + DEPTH + part;
    x0 = load_x(row0, next);
    w0 = load_w(column0, next);
    if (X_LOADS > 1u) { x1 = load_x(row1, next); }
    if (W_LOADS > 1u) { w1 = load_w(column1, next); }
    advance(0u, at);
    advance(1u, at);
    advance(2u, at);
    advance(3u, at);
  }
  write_block(rows, at.y, n + at.x, sums0);
  if (ROW_BLOCKS > 1u) { write_block(rows, at.y + 4u * DOWN, n + at.x, sums1); }
}
