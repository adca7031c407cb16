// out[r, i] = silu(x[r] · gate[i]) ⊙ (x[r] · up[i]), for the rows i in the part of the weights that is bound: as gate_up.wgsl does,
// for many rows.
// One workgroup per tile of ROW_BLOCKS · 4 · DOWN rows and 4 · ACROSS outputs of both matrices (lib/register_tile.wgsl).
// A sum goes through K in its order, whatever the tile is.
// ROUTED: row r is the choice (t, k) = (r / PER_ROW, r % PER_ROW), of x[t]; tiles share an expert's matrices (lib/row_tile.wgsl).

const TILE_ROWS = 4u * ROW_BLOCKS * DOWN;
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

fn hold(lane: u32, e: u32, n: u32, base: u32) {
  for (var i = lane; i < TILE_ROWS * DEPTH; i += LANES) {
    let k = base + i % DEPTH;
    let value = x[tile_rows[i / DEPTH] / PER_ROW * params.columns + k];
    x_tile[held_at(i % DEPTH, i / DEPTH, TILE_ROWS)] = select(vec4f(), value, k < params.columns);
  }
  for (var i = lane; i < TILE_COLUMNS * DEPTH; i += LANES) {
    let k = base + i % DEPTH;
    let tile = column_at(e, n + i / DEPTH);
    let to = held_at(i % DEPTH, i / DEPTH, TILE_COLUMNS);
    gate_tile[to] = select(vec4f(), gates(tile, k), k < params.columns);
    up_tile[to] = select(vec4f(), ups(tile, k), k < params.columns);
  }
}

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

// The sums of tile rows `row`, row + DOWN, … and outputs `n`, n + ACROSS, …
fn finish(rows: RowTile, row: u32, n: u32, gate_sums: mat4x4f, up_sums: mat4x4f) {
  for (var j = 0u; j < 4u; j++) {
    let column = n + j * ACROSS;
    if (!column_at(rows.expert, column).inside.x) { continue; }
    for (var i = 0u; i < 4u; i++) {
      if (row + i * DOWN >= rows.count) { continue; }
      out[tile_rows[row + i * DOWN] * params.outputs + column] = silu(gate_sums[j][i]) * up_sums[j][i];
    }
  }
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
  var gate0 = mat4x4f();
  var gate1 = mat4x4f();
  var up0 = mat4x4f();
  var up1 = mat4x4f();
  for (var base = 0u; base < params.columns; base += DEPTH) {
    workgroupBarrier(); // the columns before may still be being read
    hold(lane, rows.expert, n, base);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let x0 = x_at(k, at.y);
      let g = gate_at(k, at.x);
      let u = up_at(k, at.x);
      gate0 = multiply(gate0, x0, g);
      up0 = multiply(up0, x0, u);
      if (ROW_BLOCKS > 1u) {
        let x1 = x_at(k, at.y + 4u * DOWN);
        gate1 = multiply(gate1, x1, g);
        up1 = multiply(up1, x1, u);
      }
    }
  }
  finish(rows, at.y, n + at.x, gate0, up0);
  if (ROW_BLOCKS > 1u) { finish(rows, at.y + 4u * DOWN, n + at.x, gate1, up1); }
}
