// out[t, k] = silu(n[t] · gate[e]) ⊙ (n[t] · up[e]) with n = norm(x) and e the expert of the choice (spec c.10); if SHARED, after the
// choices every row once more, with matrices of their own (lib/shared_gate_up.wgsl). The norm's scale divides at the end.
// One workgroup of LANES per up to ROWS choices that share an expert (lib/choices.wgsl, or lib/own_choices.wgsl) and 4 outputs for each of
// its teams of TEAM lanes, which share out K in the same way whatever the rows are. COLUMNS: K / 4. ROWS: 1 or 2.

const TEAMS = LANES / TEAM;
const NORM = true;

struct Params {
  outputs: u32, // I
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
  shared_outputs: u32,
  epsilon: f32,
  scale: f32, // of the choices' weights, where they are made here (lib/own_choices.wgsl)
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<piece>; // [E, I, K]
@group(0) @binding(5) var<storage, read> gate_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> up: array<piece>; // [E, I, K]
@group(0) @binding(7) var<storage, read> up_factors: array<factor>; // [E, I / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, PER_ROW, I]
// Pieces of both matrices at the same place.
struct Both {
  gates: Pieces,
  ups: Pieces,
}

// Of one row.
struct Products {
  gates: vec4f,
  ups: vec4f,
}

// Of each row, and the same but for factors, of one piece if it has any, and the sums of the inputs.
var<private> products0: Products;
var<private> products1: Products;
var<private> parts0: Products;
var<private> parts1: Products;
var<private> totals: vec2f;

fn input_at(source: u32, i: u32, row: u32) -> vec4f { return x[source + i] * norm[i]; }

fn routed_at(tile: Tile, p: u32) -> Both {
  let at = tile.rows * PIECES + p;
  var both = Both(
    Pieces(gate[at.x], gate[at.y], gate[at.z], gate[at.w], factor4()),
    Pieces(up[at.x], up[at.y], up[at.z], up[at.w], factor4()),
  );
  if (!SCALED) { return both; }
  let b = factor_indices(tile, PIECE * p, COLUMNS);
  let place = vec4u(factor_at(b.x), factor_at(b.y), factor_at(b.z), factor_at(b.w));
  both.gates.factors =
    factor4(gate_factors[place.x], gate_factors[place.y], gate_factors[place.z], gate_factors[place.w]);
  both.ups.factors = factor4(up_factors[place.x], up_factors[place.y], up_factors[place.z], up_factors[place.w]);
  return both;
}

fn plus(sums: Products, gates: vec4f, ups: vec4f) -> Products { return Products(sums.gates + gates, sums.ups + ups); }

// g and u hold the weights at columns 4i … 4i + 3.
fn add_four(sources: vec4u, i: u32, g: mat4x4f, u: mat4x4f) {
  note_squares(sources, i);
  let y0 = input(sources.x, i, 0u);
  parts0 = plus(parts0, y0 * g, y0 * u);
  if (MINIMA) { totals.x += dot(y0, vec4f(1.0)); }
  if (ROWS > 1u) {
    let y1 = input(sources.y, i, 1u);
    parts1 = plus(parts1, y1 * g, y1 * u);
    if (MINIMA) { totals.y += dot(y1, vec4f(1.0)); }
  }
}

fn clear_parts() {
  parts0 = Products();
  parts1 = Products();
  totals = vec2f();
}

fn add_routed(sources: vec4u, tile: Tile, p: u32, both: Both) {
  let g = both.gates;
  let u = both.ups;
  let i = PIECE * p;
  if (SCALED) { clear_parts(); }
  add_four(sources, i, fours(g, 0u), fours(u, 0u));
  if (PIECE > 1u) {
    add_four(sources, i + 1u, fours(g, 1u), fours(u, 1u));
    add_four(sources, i + 2u, fours(g, 2u), fours(u, 2u));
    add_four(sources, i + 3u, fours(g, 3u), fours(u, 3u));
  }
  if (!SCALED) { return; }
  let blocks = factor_indices(tile, i, COLUMNS);
  products0 = plus(
    products0,
    weighed(parts0.gates, totals.x, g.factors, blocks),
    weighed(parts0.ups, totals.x, u.factors, blocks),
  );
  if (ROWS > 1u) {
    products1 = plus(
      products1,
      weighed(parts1.gates, totals.y, g.factors, blocks),
      weighed(parts1.ups, totals.y, u.factors, blocks),
    );
  }
}

fn add_all_routed(lane: Lane, sources: vec4u, tile: Tile) {
  let own = lane.index % TEAM;
  clear_parts();
  if (PIECE == 1u) { add_small_routed(sources, tile, own); } else {
    var next = routed_at(tile, min(own, PIECES - 1u)); // before the input is made ready, which lanes wait for
    prepare(lane, sources);
    for (var p = own; p < PIECES; p += TEAM) {
      let both = next;
      if (PIECES > TEAM) { next = routed_at(tile, min(p + TEAM, PIECES - 1u)); }
      add_routed(sources, tile, p, both);
    }
  }
  take_parts();
}

fn add_small_routed(sources: vec4u, tile: Tile, own: u32) {
  for (var p = own; p < PIECES; p += TURNS * TEAM) {
    add_routed(sources, tile, p, routed_at(tile, p));
    if (TURNS > 1u) { add_routed(sources, tile, p + TEAM, routed_at(tile, p + TEAM)); }
    if (TURNS > 2u) {
      add_routed(sources, tile, p + 2u * TEAM, routed_at(tile, p + 2u * TEAM));
      add_routed(sources, tile, p + 3u * TEAM, routed_at(tile, p + 3u * TEAM));
    }
  }
}

// Without factors the parts are the products.
fn take_parts() {
  if (SCALED) { return; }
  products0 = parts0;
  products1 = parts1;
}

fn find_scales(lane: Lane) -> vec4f {
  if (PIECE > 1u) { return prepared_scales(lane); }
  return to_scales(sum_team4(lane, squares), 4u * COLUMNS);
}

// silu(gate) ⊙ up of the tile's four outputs, of one row.
fn activate(lane: Lane, sums: Products, scale: f32) -> vec4f {
  let both = sum_team8(lane, mat2x4f(sums.gates, sums.ups)) * scale;
  let gates = both[0];
  return vec4f(silu(gates.x), silu(gates.y), silu(gates.z), silu(gates.w)) * both[1];
}

// Lane j < 4 of a team writes output n + j.
fn write_routed(j: u32, choice: u32, n: u32, tile: Tile, values: vec4f) {
  if (j >= 4u) { return; }
  if (tile.inside[j]) { out[choice * params.outputs + n + j] = values[j]; }
}

fn routed(lane: Lane, index: u32, first_output: u32) {
  let choices = choices_at(lane, index, index == 0u && first_output == 0u);
  if (choices.count == 0u) { return; }
  let stacked = choices.expert * params.outputs + first_output;
  if (stacked + 4u * TEAMS <= params.first || stacked >= params.first + params.count) { return; } // of another part
  let n = first_output + lane.index / TEAM * 4u;
  let tile = tile_at(choices.expert, n, params.outputs, params.first, params.count);
  let rows = choices.at / PER_ROW * COLUMNS;
  add_all_routed(lane, vec4u(rows, rows), tile);
  let scales = find_scales(lane);
  let j = lane.index % TEAM;
  write_routed(j, choices.at.x, n, tile, activate(lane, products0, scales.x));
  if (ROWS > 1u && choices.count > 1u) { write_routed(j, choices.at.y, n, tile, activate(lane, products1, scales.y)); }
}

// A plan of one row has one, whatever the step says.
fn row_count() -> u32 {
  if (ROWS == 1u) { return 1u; }
  return step_rows();
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  const OUTPUTS = 4u * TEAMS; // of a workgroup
  let blocks = (params.outputs + OUTPUTS - 1u) / OUTPUTS;
  // The shared expert's rows lie among the first, which are full.
  let shared_blocks = (params.shared_outputs + OUTPUTS - 1u) / OUTPUTS;
  let first_routed = select(0u, (row_count() + ROWS - 1u) / ROWS * shared_blocks, SHARED);
  if (index < first_routed) {
    if (SHARED) { shared_expert(lane, index / shared_blocks * ROWS, index % shared_blocks * OUTPUTS); }
  } else {
    routed(lane, (index - first_routed) / blocks, (index - first_routed) % blocks * OUTPUTS);
  }
}
