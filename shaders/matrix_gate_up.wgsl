// out[r, i] = silu(x[r] · gate[i]) ⊙ (x[r] · up[i]): as gemm_gate_up.wgsl does, by matrix units (lib/matrix_tile.wgsl).
// One workgroup of LANES per tile of TILE_ROWS rows and half of TILE_COLUMNS outputs.
// x and weights are multiplied as f16, summed up in f32. REST: K is no multiple of what is held at once. Of a subgroup's columns the first half are gate's, the others the same of up.
// ROUTED: row r is the choice (t, k) = (r / PER_ROW, r % PER_ROW), of x[t]; tiles share an expert's matrices.

struct Params {
  columns: u32, // K / 8
  outputs: u32, // I
  start: u32, // first i
  column_tiles: u32,
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4u>; // [T, K], f16
@group(0) @binding(3) var<storage, read> scales: array<f32>; // [T]
@group(0) @binding(4) var<storage, read> gate: array<weight8>; // [E, I, K]
@group(0) @binding(5) var<storage, read> gate_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> up: array<weight8>; // [E, I, K]
@group(0) @binding(7) var<storage, read> up_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read> places: array<u32>; // [ROW_TILES, 4] tiles, then [T, PER_ROW] choices
@group(0) @binding(9) var<storage, read_write> out: array<vec4f>; // [T, PER_ROW, I]

const PAIRS = OWN_COLUMNS / 2u; // outputs of a subgroup

var<private> columns: Tile; // rows of the weights that a thread loads
var<private> tile: RowTile;
var<private> first_column: u32;

// Half of a thread's loads are gate's.
const HALF = max(W_LOADS / 2u, 1u);

const_assert W_LOADS % 2u == 0u && STEP % PAIRS == 0u;

fn is_up(i: u32) -> bool { return i >= HALF; }

// Rows of either matrix that a thread loads, within the tile.
fn pairs_of_loads(line: u32) -> vec4u { return line + STEP * (vec4u(0u, 1u, 2u, 3u) % HALF); }

// Columns of the tile that they are.
fn columns_of_loads(line: u32) -> vec4u {
  let pairs = pairs_of_loads(line);
  return pairs / PAIRS * OWN_COLUMNS + pairs % PAIRS + PAIRS * (vec4u(0u, 1u, 2u, 3u) / HALF);
}

fn x_at(at: u32) -> vec4u { return x[at]; }

fn weight_at(i: u32, at: u32) -> weight8 {
  if (is_up(i)) { return up[at]; }
  return gate[at];
}

fn halves_at(i: u32, k: u32, packed: weight8) -> vec4u {
  var values = load_weight8(packed);
  if (SCALED) {
    let block = factor_indices(columns, 2u * k, 2u * params.columns)[i];
    var own = gate_factors[factor_at(block)];
    if (is_up(i)) { own = up_factors[factor_at(block)]; }
    values = mat2x4f(scaled(values[0], own, block), scaled(values[1], own, block));
  }
  if (!REST) { return halves_of(values); }
  return select(vec4u(), halves_of(values), k < params.columns); // zeros behind the end of K
}

fn gated(gate: vec4f, up: vec4f) -> vec4f { return vec4f(silu(gate.x), silu(gate.y), silu(gate.z), silu(gate.w)) * up; }

fn write_sums(own: u32, first: u32, corner: vec2u, count: u32) {
  for (var i = own; i < OWN_SUMS / 8u; i += SUBGROUP) {
    let row = corner.y + i / (PAIRS / 4u);
    let n = first_column + corner.x / 2u + i % (PAIRS / 4u) * 4u;
    if (row >= count || !is_inside(tile.expert, n, params.outputs, params.first, params.count)) { continue; }
    let choice = tile_rows[row];
    let scale = scales[choice / PER_ROW];
    let from_gate = first + i / (PAIRS / 4u) * (OWN_COLUMNS / 4u) + i % (PAIRS / 4u);
    out[(choice * params.outputs + n) / 4u] = gated(held_sums(from_gate) * scale, held_sums(from_gate + PAIRS / 4u) * scale);
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
  first_column = params.start + column_tile * TILE_COLUMNS / 2u;
  workgroupBarrier(); // tile_rows are known
  let line = lane / DEPTH;
  columns = tile_of(tile.expert, first_column + pairs_of_loads(line), params.outputs, params.first, params.count);
  let x_rows = tile_rows_of(line) / PER_ROW * params.columns;
  multiply_tile(lane, subgroup, own, tile.count, params.columns, x_rows, columns.rows * params.columns);
}
