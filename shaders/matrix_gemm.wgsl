// out[r, n] = x[r] · weight[n] + bias[n], or if ADD that more than it was: as gemm.wgsl does, by matrix units (lib/matrix_tile.wgsl).
// One workgroup of LANES per tile of TILE_ROWS rows and TILE_COLUMNS outputs.
// x and weights are multiplied as f16, summed up in f32. REST: K is no multiple of what is held at once. ROUTED: rows are choices (t, k), in tiles that share an expert's matrix.

struct Params {
  columns: u32, // K / 8
  outputs: u32, // N
  start: u32, // first n
  column_tiles: u32,
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4u>; // [T, K] or [T, PER_ROW, K], f16
@group(0) @binding(3) var<storage, read> scales: array<f32>; // [T] or [T, PER_ROW]
@group(0) @binding(4) var<storage, read> weight: array<weight8>; // [E, N, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [E, N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> bias: array<vec4f>; // [N]
@group(0) @binding(7) var<storage, read> places: array<u32>; // [ROW_TILES, 4] tiles, then [T, PER_ROW] choices
@group(0) @binding(8) var<storage, read_write> out: array<vec4f>; // [T, N] or [T, PER_ROW, N]

var<private> columns: Tile; // rows of the weight that a thread loads
var<private> tile: RowTile;
var<private> first_column: u32;

// Columns of the tile that a thread loads, from its first one on.
fn columns_of_loads(line: u32) -> vec4u { return line + STEP * vec4u(0u, 1u, 2u, 3u); }

fn x_at(at: u32) -> vec4u { return x[at]; }

fn weight_at(i: u32, at: u32) -> weight8 { return weight[at]; }

fn halves_at(i: u32, k: u32, packed: weight8) -> vec4u {
  var values = load_weight8(packed);
  if (SCALED) {
    let block = factor_indices(columns, 2u * k, 2u * params.columns)[i];
    let own = factors[factor_at(block)];
    values = mat2x4f(scaled(values[0], own, block), scaled(values[1], own, block));
  }
  if (!REST) { return halves_of(values); }
  return select(vec4u(), halves_of(values), k < params.columns); // zeros behind the end of K
}

fn write_sums(own: u32, first: u32, corner: vec2u, count: u32) {
  for (var i = own; i < OWN_SUMS / 4u; i += SUBGROUP) {
    let row = corner.y + i / (OWN_COLUMNS / 4u);
    let n = first_column + corner.x + i % (OWN_COLUMNS / 4u) * 4u;
    if (row >= count || !is_inside(tile.expert, n, params.outputs, params.first, params.count)) { continue; }
    let at = (tile_rows[row] * params.outputs + n) / 4u;
    var value = held_sums(first + i) * scales[tile_rows[row]];
    if (BIAS) { value += bias[n / 4u]; }
    if (ADD) { value += out[at]; }
    out[at] = value;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) own: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = select((step_rows() + TILE_ROWS - 1u) / TILE_ROWS, ROW_TILES, ROUTED);
  let column_tile = flat(group, grid) / row_tiles;
  if (column_tile >= params.column_tiles) { return; }
  tile = take_rows(lane, flat(group, grid) % row_tiles, step_rows());
  if (tile.count == 0u) { return; }
  first_column = params.start + column_tile * TILE_COLUMNS;
  workgroupBarrier(); // tile_rows are known
  let line = lane / DEPTH;
  columns = tile_of(tile.expert, first_column + columns_of_loads(line), params.outputs, params.first, params.count);
  let x_rows = tile_rows_of(line) * params.columns;
  multiply_tile(lane, subgroup, own, tile.count, params.columns, x_rows, columns.rows * params.columns);
}
