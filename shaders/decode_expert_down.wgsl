// products[t, k, h] = x[t, k] · down[e, h], e the expert of the choice, over the matrices' rows in the part that is bound (spec c.10).
// One workgroup of LANES per up to ROWS choices that share an expert (lib/choices.wgsl) and 4 outputs for each of its teams of TEAM
// lanes, which share out I as those of decode_down.wgsl do.
// COLUMNS: I / 4. ROWS: 1 or 2.

const TEAMS = LANES / TEAM;

struct Params {
  outputs: u32, // H
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<piece>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read_write> products: array<f32>; // [T, PER_ROW, H]

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

// Lane j < 4 of a team writes output h + j.
fn write(lane: Lane, choice: u32, h: u32, tile: Tile, partial: vec4f) {
  let values = sum_team4(lane, partial);
  let j = lane.index % TEAM;
  if (j >= 4u) { return; }
  if (tile.inside[j]) { products[choice * params.outputs + h + j] = values[j]; }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let blocks = (params.outputs + 4u * TEAMS - 1u) / (4u * TEAMS);
  let choices = choices_at(lane, flat(group, grid) / blocks, false);
  if (choices.count == 0u) { return; }
  let h = (flat(group, grid) % blocks * TEAMS + lane.index / TEAM) * 4u;
  let tile = tile_at(choices.expert, h, params.outputs, params.first, params.count);
  let rows = choices.at * COLUMNS;
  let own = lane.index % TEAM;
  add_all(vec4u(rows, rows), tile, own, first_pieces(tile, own));
  write(lane, choices.at.x, h, tile, sums0);
  if (ROWS > 1u && choices.count > 1u) { write(lane, choices.at.y, h, tile, sums1); }
}
