// out[r, n] = norm(x[r]) · weight[n] and other_out[r, n] = norm(x[r]) · other_weight[n], the norm's squares added up on the way (spec c.1):
// decode_product.wgsl for two maps of one input in one dispatch.
// One workgroup of LANES per ROWS rows and 4 outputs for each of its teams of TEAM lanes, which share out K in the same way whatever the
// rows are. COLUMNS: K / 4. ROWS: 1 or 4. SCALED: the weights have factors.

const TEAMS = LANES / TEAM;
const NORM = true;

struct Params {
  outputs: u32, // N
  other_outputs: u32, // N'
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4f>; // [K]
@group(0) @binding(4) var<storage, read> weight: array<piece>; // [N, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [T, N]
@group(0) @binding(7) var<storage, read> other_weight: array<piece>; // [N', K]
@group(0) @binding(8) var<storage, read> other_factors: array<factor>; // [N' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(9) var<storage, read_write> other_out: array<f32>; // [T, N']

var<private> is_other: bool; // whether the team's outputs are those of the other map

fn input_at(source: u32, i: u32, row: u32) -> vec4f { return x[source + i] * norm[i]; }

fn pieces_at(tile: Tile, p: u32) -> Pieces {
  if (PIECE > 1u && is_other) { return other_pieces_at(tile, p); }
  let at = tile.rows * PIECES + p;
  let block = factor_indices(tile, PIECE * p, COLUMNS);
  return Pieces(weight[at.x], weight[at.y], weight[at.z], weight[at.w], factors_at(block));
}

fn other_pieces_at(tile: Tile, p: u32) -> Pieces {
  let at = tile.rows * PIECES + p;
  let block = factor_indices(tile, PIECE * p, COLUMNS);
  return Pieces(other_weight[at.x], other_weight[at.y], other_weight[at.z], other_weight[at.w], other_factors_at(block));
}

// Small pieces' reads are under way at once only without a condition around each.
fn add_other_small(sources: vec4u, tile: Tile, own: u32) {
  clear_parts();
  for (var p = own; p < PIECES; p += TURNS * TEAM) {
    add_pieces(sources, tile, p, other_pieces_at(tile, p));
    if (TURNS > 1u) { add_pieces(sources, tile, p + TEAM, other_pieces_at(tile, p + TEAM)); }
    if (TURNS > 2u) {
      add_pieces(sources, tile, p + 2u * TEAM, other_pieces_at(tile, p + 2u * TEAM));
      add_pieces(sources, tile, p + 3u * TEAM, other_pieces_at(tile, p + 3u * TEAM));
    }
  }  take_parts();
}

fn factors_at(block: vec4u) -> factor4 {
  if (!SCALED) { return factor4(); }
  return factor4(
    factors[factor_at(block.x)],
    factors[factor_at(block.y)],
    factors[factor_at(block.z)],
    factors[factor_at(block.w)],
  );
}

fn other_factors_at(block: vec4u) -> factor4 {
  if (!SCALED) { return factor4(); }
  return factor4(
    other_factors[factor_at(block.x)],
    other_factors[factor_at(block.y)],
    other_factors[factor_at(block.z)],
    other_factors[factor_at(block.w)],
  );
}

// Lane j < 4 of a team finishes output n + j of one of the maps.
fn finish(lane: Lane, row: u32, n: u32, tile: Tile, sums: vec4f, scale: f32) {
  let values = sums * scale;
  let j = lane.index % TEAM;
  if (j >= 4u) { return; }
  if (!tile.inside[j]) { return; }
  if (is_other) { other_out[row * params.other_outputs + n + j] = values[j]; } else { out[row * params.outputs + n + j] = values[j]; }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  var rows = 1u; // as many as a plan of one row has, whatever the step says
  if (ROWS > 1u) { rows = step_rows(); }
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let block = flat(group, grid) / row_tiles * TEAMS + lane.index / TEAM;
  let blocks = (params.outputs + 3u) / 4u;
  is_other = block >= blocks;
  // Past the last output nothing is written, but lanes wait for each other.
  let n = select(block, block - blocks, is_other) * 4u;
  let outputs = select(params.outputs, params.other_outputs, is_other);
  let tile = tile_at(0u, n, outputs, 0u, outputs);
  let sources = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * COLUMNS;
  let own = lane.index % TEAM;
  let first = first_pieces(tile, own);
  prepare(lane, sources);
  if (PIECE == 1u && is_other) { add_other_small(sources, tile, own); } else { add_all(sources, tile, own, first); }
  let found = sums_and_scales(lane, sums0);
  finish(lane, row, n, tile, found.sums, found.scales.x);
  if (ROWS > 1u) {
    if (row + 1u < rows) { finish(lane, row + 1u, n, tile, sum_team4(lane, sums1), found.scales.y); }
    if (row + 2u < rows) { finish(lane, row + 2u, n, tile, sum_team4(lane, sums2), found.scales.z); }
    if (row + 3u < rows) { finish(lane, row + 3u, n, tile, sum_team4(lane, sums3), found.scales.w); }
  }
}
