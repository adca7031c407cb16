// hidden[h] += Σ_k weights[k] · (x[k] · down[e, h]), e = ids[k], for the one row of the step; if SHARED also + shared_x · shared_down[h]
// (spec c.10).
// One workgroup of LANES per 4 outputs. Each of its teams of TEAM lanes takes a choice after the other; all share out the shared expert.
// COLUMNS: I / 4. SHARED_COLUMNS: I' / 4.

const ROWS = 1u;
const TEAMS = LANES / TEAM;
const ROUNDS = (PER_ROW + TEAMS - 1u) / TEAMS;

const SHARED_PIECES = SHARED_COLUMNS / PIECE;

struct Params {
  outputs: u32, // H
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<piece>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> ids: array<u32>; // [PER_ROW]
@group(0) @binding(6) var<storage, read> weights: array<f32>; // [PER_ROW]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [H]
@group(0) @binding(8) var<storage, read> shared_x: array<vec4f>; // [I']
@group(0) @binding(9) var<storage, read> shared_down: array<shared_piece>; // [H, I']
@group(0) @binding(10) var<storage, read> shared_factors: array<shared_factor>; // [H / BLOCK_ROWS, I' / BLOCK_COLUMNS]

var<workgroup> products: array<vec4f, PER_ROW>;
var<workgroup> held_weights: array<f32, PER_ROW>; // read at once: a loop would wait for each

fn input(source: u32, i: u32, row: u32) -> vec4f { return x[source + i]; }

fn note_squares(sources: vec4u, i: u32) {}

fn pieces_at(tile: Tile, p: u32) -> Pieces {
  let at = tile.rows * PIECES + p;
  var held = Pieces(down[at.x], down[at.y], down[at.z], down[at.w], factor4());
  if (!SCALED) { return held; }
  let block = factor_indices(tile, PIECE * p, COLUMNS);
  held.factors = factor4(
    factors[factor_at(block.x)],
    factors[factor_at(block.y)],
    factors[factor_at(block.z)],
    factors[factor_at(block.w)],
  );
  return held;
}

fn shared_pieces_at(tile: Tile, p: u32) -> SharedPieces {
  let at = tile.rows * SHARED_PIECES + p;
  var held = SharedPieces(shared_down[at.x], shared_down[at.y], shared_down[at.z], shared_down[at.w], factor4());
  if (!SCALED) { return held; }
  let block = factor_indices(tile, PIECE * p, SHARED_COLUMNS);
  held.factors = factor4(
    shared_factors[shared_factor_at(block.x)],
    shared_factors[shared_factor_at(block.y)],
    shared_factors[shared_factor_at(block.z)],
    shared_factors[shared_factor_at(block.w)],
  );
  return held;
}

// shared_x · shared_down at one piece.
fn shared_products(tile: Tile, p: u32, held: SharedPieces) -> vec4f {
  let i = PIECE * p;
  let y0 = shared_x[i];
  var products = y0 * shared_fours(held, 0u);
  var total = 0.0;
  if (MINIMA) { total = dot(y0, vec4f(1.0)); }
  if (PIECE > 1u) {
    let y1 = shared_x[i + 1u];
    let y2 = shared_x[i + 2u];
    let y3 = shared_x[i + 3u];
    products += y1 * shared_fours(held, 1u);
    products += y2 * shared_fours(held, 2u);
    products += y3 * shared_fours(held, 3u);
    if (MINIMA) {
      total += dot(y1, vec4f(1.0));
      total += dot(y2, vec4f(1.0));
      total += dot(y3, vec4f(1.0));
    }
  }
  if (!SCALED) { return products; }
  return shared_weighed(products, total, held, factor_indices(tile, i, SHARED_COLUMNS));
}

fn added(value: f32, k: u32, j: u32) -> f32 {
  if (PER_ROW % 4u != 0u && k >= PER_ROW) { return value; }
  return fma(held_weights[k], products[k][j], value);
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let h = flat(group, grid) * 4u;
  if (h >= params.outputs) { return; }
  let own = lane.index % TEAM;
  let shared_tile = tile_at(0u, h, params.outputs, 0u, params.outputs);
  // Big pieces are read before the choices are known.
  var shared_held = SharedPieces();
  if (SHARED && PIECE > 1u) { shared_held = shared_pieces_at(shared_tile, min(lane.index, SHARED_PIECES - 1u)); }
  for (var k = lane.index; k < PER_ROW; k += LANES) { held_weights[k] = weights[k]; }
  for (var round = 0u; round < ROUNDS; round++) {
    let k = round * TEAMS + lane.index / TEAM;
    sums0 = vec4f();
    if (k < PER_ROW) {
      let tile = tile_at(ids[k], h, params.outputs, 0u, 0xffffffffu);
      add_all(vec4u(k * COLUMNS), tile, own, first_pieces(tile, own));
    }
    let product = sum_team4(lane, sums0);
    if (own == 0u && k < PER_ROW) { products[k] = product; }
  }
  var shared_sum = vec4f();
  let j = lane.index;
  var value = 0.0;
  if (j < 4u && h + j < params.outputs) { value = hidden[h + j]; }
  if (SHARED) {
    for (var p = lane.index; p < SHARED_PIECES; p += LANES) {
      if (PIECE == 1u || p != lane.index) { shared_held = shared_pieces_at(shared_tile, p); }
      shared_sum += shared_products(shared_tile, p, shared_held);
    }
    shared_sum = sum_lanes4(lane, shared_sum);
  }
  workgroupBarrier();
  if (j >= 4u || h + j >= params.outputs) { return; }
  // Hidden first, and by fma: compilers may reorder a sum that ends with it (combine_experts.wgsl does the same).
  for (var k = 0u; k < PER_ROW; k += 4u) {
    value = added(added(added(added(value, k, j), k + 1u, j), k + 2u, j), k + 3u, j); // four reads are under way at once
  }
  hidden[h + j] = value + shared_sum[j];
}
