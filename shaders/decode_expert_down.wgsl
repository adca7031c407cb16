// products[t, k, h] = x[t, k] · down[e, h], e the expert of the choice, over the matrices' rows in the part that is bound (spec c.10).
// One workgroup of LANES per up to ROWS choices that share an expert (lib/choices.wgsl) and 4 outputs for each of its teams of TEAM
// lanes, which share out I as those of decode_down.wgsl do.
// COLUMNS: I / 4. ROWS: 1 or 2.

const TEAMS = LANES / TEAM;

// Steps whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const UNROLL = select(select(1u, 2u, COLUMNS % (2u * TEAM) == 0u), 4u, COLUMNS % (4u * TEAM) == 0u);

// Of each row.
var<private> sum0: vec4f;
var<private> sum1: vec4f;

struct Params {
  outputs: u32, // H
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<weight4>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> chosen: array<u32>; // [T, PER_ROW], or sorted
@group(0) @binding(6) var<storage, read_write> products: array<f32>; // [T, PER_ROW, H]

fn downs4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(down[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

fn downs(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  return mat4x4f(downs4(at.x, block.x), downs4(at.y, block.y), downs4(at.z, block.z), downs4(at.w, block.w));
}

fn add(i: u32, sources: vec2u, tile: Tile) {
  let d = downs(tile, i);
  sum0 += x[sources.x + i] * d;
  if (ROWS > 1u) { sum1 += x[sources.y + i] * d; }
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
  let choices = choices_at(flat(group, grid) / blocks);
  if (choices.count == 0u) { return; }
  let h = (flat(group, grid) % blocks * TEAMS + lane.index / TEAM) * 4u;
  let tile = tile_at(choices.expert, h, params.outputs, params.first, params.count);
  let sources = choices.at * COLUMNS;
  for (var i = lane.index % TEAM; i < COLUMNS; i += UNROLL * TEAM) {
    add(i, sources, tile);
    if (UNROLL > 1u) { add(i + TEAM, sources, tile); }
    if (UNROLL > 2u) {
      add(i + 2u * TEAM, sources, tile);
      add(i + 3u * TEAM, sources, tile);
    }
  }
  write(lane, choices.at.x, h, tile, sum0);
  if (ROWS > 1u && choices.count > 1u) { write(lane, choices.at.y, h, tile, sum1); }
}
