// out[r, n] = x[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound:
// as decode_product.wgsl does, for many rows.
// One workgroup of LANES per tile of ROW_BLOCKS · 4 · DOWN rows and COLUMN_BLOCKS · 4 · ACROSS outputs (lib/register_tile.wgsl), the blocks
// 1 or 2 each.
// A sum goes through K in its order, whatever the tile is. OUTPUTS: rows are the step's outputs. BIAS: there is one.
// ROUTED: rows are choices (t, k), in tiles that share an expert's matrix (lib/row_tile.wgsl).

const TILE_ROWS = 4u * ROW_BLOCKS * DOWN;
const TILE_COLUMNS = 4u * COLUMN_BLOCKS * ACROSS;

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

var<workgroup> x_tile: array<array<array<vec4f, PITCH>, DOWN>, 4u * ROW_BLOCKS>;
var<workgroup> w_tile: array<array<array<vec4f, PITCH>, ACROSS>, 4u * COLUMN_BLOCKS>;

fn weights(tile: Tile, i: u32) -> vec4f {
  let at = tile.rows.x * params.columns + i;
  let codes = load_weight4(weight[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  let block = factor_indices(tile, i, params.columns).x;
  return scaled(codes, factors[factor_at(block)], block);
}

fn column_at(e: u32, n: u32) -> Tile { return tile_at(e, n, params.outputs, params.first, params.count); }

const STEP = LANES / DEPTH; // rows or columns that all threads load at once
const X_LOADS = TILE_ROWS / STEP;
const W_LOADS = TILE_COLUMNS / STEP;
const_assert X_LOADS <= 2u && W_LOADS <= 4u;

fn load_x(row: u32, k: u32) -> vec4f { return select(vec4f(), x[row + k], k < params.columns); }

fn load_w(tile: Tile, k: u32) -> vec4f { return select(vec4f(), weights(tile, k), k < params.columns); }

fn hold_x(row: u32, k: u32, value: vec4f) { x_tile[row / DOWN][row % DOWN][k] = value; }

fn hold_w(column: u32, k: u32, value: vec4f) { w_tile[column / ACROSS][column % ACROSS][k] = value; }

// Four rows, or columns, from a thread's i-th on.
fn x_at(i: u32, y: u32, k: u32) -> mat4x4f {
  return transpose(mat4x4f(x_tile[i][y][k], x_tile[i + 1u][y][k], x_tile[i + 2u][y][k], x_tile[i + 3u][y][k]));
}

fn w_at(i: u32, x: u32, k: u32) -> mat4x4f {
  return mat4x4f(w_tile[i][x][k], w_tile[i + 1u][x][k], w_tile[i + 2u][x][k], w_tile[i + 3u][x][k]);
}

// Sums of a thread's blocks of rows and of columns.
var<private> sums00: mat4x4f;
var<private> sums01: mat4x4f;
var<private> sums10: mat4x4f;
var<private> sums11: mat4x4f;

fn advance(k: u32, at: vec2u) {
  let x0 = x_at(0u, at.y, k);
  let w0 = w_at(0u, at.x, k);
  let x1 = x_at(4u * (ROW_BLOCKS - 1u), at.y, k);
  sums00 = multiply(sums00, x0, w0);
  if (ROW_BLOCKS > 1u) { sums10 = multiply(sums10, x1, w0); }
  if (COLUMN_BLOCKS > 1u) {
    let w1 = w_at(4u, at.x, k);
    sums01 = multiply(sums01, x0, w1);
    if (ROW_BLOCKS > 1u) { sums11 = multiply(sums11, x1, w1); }
  }
}

fn write(rows: RowTile, row: u32, n: u32, sum: f32) {
  if (row >= rows.count) { return; }
  let at = tile_rows[row] * params.outputs + n;
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
  let column_tile = flat(group, grid) / row_tiles;
  if (column_tile >= params.column_tiles) { return; }
  let rows = take_rows(lane, flat(group, grid) % row_tiles, all_rows);
  if (rows.count == 0u) { return; }
  let n = params.start + column_tile * TILE_COLUMNS;
  let at = thread_at(lane);
  workgroupBarrier(); // tile_rows are known
  let part = lane % DEPTH;
  let held = lane / DEPTH;
  let row0 = tile_rows[held] * params.columns;
  let row1 = tile_rows[min(held + STEP, TILE_ROWS - 1u)] * params.columns;
  let column0 = column_at(rows.expert, n + held);
  let column1 = column_at(rows.expert, n + held + STEP);
  let column2 = column_at(rows.expert, n + held + 2u * STEP);
  let column3 = column_at(rows.expert, n + held + 3u * STEP);
  var x0 = load_x(row0, part);
  var x1 = vec4f();
  var w0 = load_w(column0, part);
  var w1 = vec4f();
  var w2 = vec4f();
  var w3 = vec4f();
  if (X_LOADS > 1u) { x1 = load_x(row1, part); }
  if (W_LOADS > 1u) { w1 = load_w(column1, part); }
  if (W_LOADS > 2u) {
    w2 = load_w(column2, part);
    w3 = load_w(column3, part);
  }
  for (var base = 0u; base < params.columns; base += DEPTH) {
    workgroupBarrier(); // the columns before may still be being read
    hold_x(held, part, x0);
    hold_w(held, part, w0);
    if (X_LOADS > 1u) { hold_x(held + STEP, part, x1); }
    if (W_LOADS > 1u) { hold_w(held + STEP, part, w1); }
    if (W_LOADS > 2u) {
      hold_w(held + 2u * STEP, part, w2);
      hold_w(held + 3u * STEP, part, w3);
    }
    workgroupBarrier();
    // The next columns are on their way while these are multiplied.
    let next = base + DEPTH + part;
    x0 = load_x(row0, next);
    w0 = load_w(column0, next);
    if (X_LOADS > 1u) { x1 = load_x(row1, next); }
    if (W_LOADS > 1u) { w1 = load_w(column1, next); }
    if (W_LOADS > 2u) {
      w2 = load_w(column2, next);
      w3 = load_w(column3, next);
    }
    advance(0u, at);
    advance(1u, at);
    advance(2u, at);
    advance(3u, at);
  }
  write_block(rows, at.y, n + at.x, sums00);
  if (ROW_BLOCKS > 1u) { write_block(rows, at.y + 4u * DOWN, n + at.x, sums10); }
  if (COLUMN_BLOCKS > 1u) {
    write_block(rows, at.y, n + at.x + 4u * ACROSS, sums01);
    if (ROW_BLOCKS > 1u) { write_block(rows, at.y + 4u * DOWN, n + at.x + 4u * ACROSS, sums11); }
  }
}
