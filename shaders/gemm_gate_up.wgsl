// out[r, i] = silu(x[r] · gate[i]) ⊙ (x[r] · up[i]), for the rows i in the part of the weights that is bound: as gate_up.wgsl does,
// for many rows.
// One workgroup of LANES per tile of 4 · DOWN rows and 4 · ACROSS outputs of both matrices (lib/register_tile.wgsl).
// A sum goes through K in its order, whatever the tile is.
// ROUTED: row r is the choice (t, k) = (r / PER_ROW, r % PER_ROW), of x[t]; tiles share an expert's matrices (lib/row_tile.wgsl).

const TILE_ROWS = 4u * DOWN;
const TILE_COLUMNS = 4u * ACROSS;

struct Params {
  columns: u32, // K / 4
  outputs: u32, // I
  start: u32, // first i
  column_tiles: u32,
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> gate: array<weight4>; // [E, I, K]
@group(0) @binding(4) var<storage, read> gate_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> up: array<weight4>; // [E, I, K]
@group(0) @binding(6) var<storage, read> up_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(7) var<storage, read> places: array<u32>; // [ROW_TILES, 4] tiles, then [T, PER_ROW] choices
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, PER_ROW, I]

var<workgroup> x_tile: array<vec4f, TILE_ROWS * DEPTH>;
var<workgroup> gate_tile: array<vec4f, TILE_COLUMNS * DEPTH>;
var<workgroup> up_tile: array<vec4f, TILE_COLUMNS * DEPTH>;

fn gates(tile: Tile, i: u32) -> vec4f {
  let at = tile.rows.x * params.columns + i;
  let codes = load_weight4(gate[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  let block = factor_indices(tile, i, params.columns).x;
  return scaled(codes, gate_factors[factor_at(block)], block);
}

fn ups(tile: Tile, i: u32) -> vec4f {
  let at = tile.rows.x * params.columns + i;
  let codes = load_weight4(up[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  let block = factor_indices(tile, i, params.columns).x;
  return scaled(codes, up_factors[factor_at(block)], block);
}

fn column_at(e: u32, n: u32) -> Tile { return tile_at(e, n, params.outputs, params.first, params.count); }

const W_LOADS = TILE_COLUMNS * DEPTH / LANES;
const_assert TILE_ROWS * DEPTH == LANES && W_LOADS <= 2u;

fn load_x(row: u32, k: u32) -> vec4f { return select(vec4f(), x[row + k], k < params.columns); }

fn load_gate(tile: Tile, k: u32) -> vec4f { return select(vec4f(), gates(tile, k), k < params.columns); }

fn load_up(tile: Tile, k: u32) -> vec4f { return select(vec4f(), ups(tile, k), k < params.columns); }

fn x_at(k: u32, row: u32) -> mat4x4f {
  return transpose(mat4x4f(
    x_tile[held_at(k, row, TILE_ROWS)],
    x_tile[held_at(k, row + DOWN, TILE_ROWS)],
    x_tile[held_at(k, row + 2u * DOWN, TILE_ROWS)],
    x_tile[held_at(k, row + 3u * DOWN, TILE_ROWS)],
  ));
}

fn gate_at(k: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    gate_tile[held_at(k, column, TILE_COLUMNS)],
    gate_tile[held_at(k, column + ACROSS, TILE_COLUMNS)],
    gate_tile[held_at(k, column + 2u * ACROSS, TILE_COLUMNS)],
    gate_tile[held_at(k, column + 3u * ACROSS, TILE_COLUMNS)],
  );
}

fn up_at(k: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    up_tile[held_at(k, column, TILE_COLUMNS)],
    up_tile[held_at(k, column + ACROSS, TILE_COLUMNS)],
    up_tile[held_at(k, column + 2u * ACROSS, TILE_COLUMNS)],
    up_tile[held_at(k, column + 3u * ACROSS, TILE_COLUMNS)],
  );
}

// Sums of a thread's rows, a column for each output.
var<private> gate_sums: mat4x4f;
var<private> up_sums: mat4x4f;

fn advance(k: u32, at: vec2u) {
  let rows = x_at(k, at.y);
  gate_sums = multiply(gate_sums, rows, gate_at(k, at.x));
  up_sums = multiply(up_sums, rows, up_at(k, at.x));
}

fn write(rows: RowTile, row: u32, n: u32, value: f32) {
  if (row < rows.count) { out[tile_rows[row] * params.outputs + n] = value; }
}

fn write_column(rows: RowTile, row: u32, n: u32, gate_column: vec4f, up_column: vec4f) {
  if (!column_at(rows.expert, n).inside.x) { return; }
  write(rows, row, n, silu(gate_column.x) * up_column.x);
  write(rows, row + DOWN, n, silu(gate_column.y) * up_column.y);
  write(rows, row + 2u * DOWN, n, silu(gate_column.z) * up_column.z);
  write(rows, row + 3u * DOWN, n, silu(gate_column.w) * up_column.w);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = select((step_rows() + TILE_ROWS - 1u) / TILE_ROWS, ROW_TILES, ROUTED);
  let column_tile = flat(group, grid) / row_tiles;
  if (column_tile >= params.column_tiles) { return; }
  let rows = take_rows(lane, flat(group, grid) % row_tiles, step_rows());
  if (rows.count == 0u) { return; }
  let n = params.start + column_tile * TILE_COLUMNS;
  let at = thread_at(lane);
  workgroupBarrier(); // tile_rows are known
  let part = lane % DEPTH;
  let held = vec2u(lane / DEPTH, (lane + LANES) / DEPTH);
  let row = tile_rows[held.x] / PER_ROW * params.columns;
  let column0 = column_at(rows.expert, n + held.x);
  let column1 = column_at(rows.expert, n + held.y);
  var x_next = load_x(row, part);
  var gate0 = load_gate(column0, part);
  var gate1 = vec4f();
  var up0 = load_up(column0, part);
  var up1 = vec4f();
  if (W_LOADS > 1u) {
    gate1 = load_gate(column1, part);
    up1 = load_up(column1, part);
  }
  for (var base = 0u; base < params.columns; base += DEPTH) {
    workgroupBarrier(); // the columns before may still be being read
    x_tile[held_at(part, held.x, TILE_ROWS)] = x_next;
    gate_tile[held_at(part, held.x, TILE_COLUMNS)] = gate0;
    up_tile[held_at(part, held.x, TILE_COLUMNS)] = up0;
    if (W_LOADS > 1u) {
      gate_tile[held_at(part, held.y, TILE_COLUMNS)] = gate1;
      up_tile[held_at(part, held.y, TILE_COLUMNS)] = up1;
    }
    workgroupBarrier();
    // The next columns are on their way while these are multiplied.
    let next = base + DEPTH + part;
    x_next = load_x(row, next);
    gate0 = load_gate(column0, next);
    up0 = load_up(column0, next);
    if (W_LOADS > 1u) {
      gate1 = load_gate(column1, next);
      up1 = load_up(column1, next);
    }
    advance(0u, at);
    advance(1u, at);
    advance(2u, at);
    advance(3u, at);
  }
  // No loop: an index that is no constant would keep the sums out of registers.
  write_column(rows, at.y, n + at.x, gate_sums[0], up_sums[0]);
  write_column(rows, at.y, n + at.x + ACROSS, gate_sums[1], up_sums[1]);
  write_column(rows, at.y, n + at.x + 2u * ACROSS, gate_sums[2], up_sums[2]);
  write_column(rows, at.y, n + at.x + 3u * ACROSS, gate_sums[3], up_sums[3]);
}
