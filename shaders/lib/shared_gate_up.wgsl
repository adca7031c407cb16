// The shared expert's side of decode_gate_up.wgsl: rows that all go through matrices of their own, which may be stored in another way.

@group(0) @binding(9) var<storage, read> shared_gate: array<shared_piece>; // [I', K]
@group(0) @binding(10) var<storage, read> shared_gate_factors: array<shared_factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(11) var<storage, read> shared_up: array<shared_piece>; // [I', K]
@group(0) @binding(12) var<storage, read> shared_up_factors: array<shared_factor>; // [I' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(13) var<storage, read_write> shared_out: array<f32>; // [T, I']

struct SharedBoth {
  gates: SharedPieces,
  ups: SharedPieces,
}

fn shared_at(tile: Tile, p: u32) -> SharedBoth {
  let at = tile.rows * PIECES + p;
  var both = SharedBoth(
    SharedPieces(shared_gate[at.x], shared_gate[at.y], shared_gate[at.z], shared_gate[at.w], factor4()),
    SharedPieces(shared_up[at.x], shared_up[at.y], shared_up[at.z], shared_up[at.w], factor4()),
  );
  if (!SCALED) { return both; }
  let b = factor_indices(tile, PIECE * p, COLUMNS);
  let place = vec4u(shared_factor_at(b.x), shared_factor_at(b.y), shared_factor_at(b.z), shared_factor_at(b.w));
  both.gates.factors = factor4(
    shared_gate_factors[place.x],
    shared_gate_factors[place.y],
    shared_gate_factors[place.z],
    shared_gate_factors[place.w],
  );
  both.ups.factors = factor4(
    shared_up_factors[place.x],
    shared_up_factors[place.y],
    shared_up_factors[place.z],
    shared_up_factors[place.w],
  );
  return both;
}

fn add_shared(sources: vec4u, tile: Tile, p: u32, both: SharedBoth) {
  let g = both.gates;
  let u = both.ups;
  let i = PIECE * p;
  if (SCALED) { clear_parts(); }
  add_four(sources, i, shared_fours(g, 0u), shared_fours(u, 0u));
  if (PIECE > 1u) {
    add_four(sources, i + 1u, shared_fours(g, 1u), shared_fours(u, 1u));
    add_four(sources, i + 2u, shared_fours(g, 2u), shared_fours(u, 2u));
    add_four(sources, i + 3u, shared_fours(g, 3u), shared_fours(u, 3u));
  }
  if (!SCALED) { return; }
  let blocks = factor_indices(tile, i, COLUMNS);
  products0 = plus(
    products0,
    shared_weighed(parts0.gates, totals.x, g, blocks),
    shared_weighed(parts0.ups, totals.x, u, blocks),
  );
  if (ROWS > 1u) {
    products1 = plus(
      products1,
      shared_weighed(parts1.gates, totals.y, g, blocks),
      shared_weighed(parts1.ups, totals.y, u, blocks),
    );
  }
}

fn add_all_shared(lane: Lane, sources: vec4u, tile: Tile) {
  let own = lane.index % TEAM;
  clear_parts();
  if (PIECE == 1u) { add_small_shared(sources, tile, own); } else {
    var next = shared_at(tile, min(own, PIECES - 1u));
    prepare(lane, sources);
    for (var p = own; p < PIECES; p += TEAM) {
      let both = next;
      if (PIECES > TEAM) { next = shared_at(tile, min(p + TEAM, PIECES - 1u)); }
      add_shared(sources, tile, p, both);
    }
  }
  take_parts();
}

fn add_small_shared(sources: vec4u, tile: Tile, own: u32) {
  for (var p = own; p < PIECES; p += TURNS * TEAM) {
    add_shared(sources, tile, p, shared_at(tile, p));
    if (TURNS > 1u) { add_shared(sources, tile, p + TEAM, shared_at(tile, p + TEAM)); }
    if (TURNS > 2u) {
      add_shared(sources, tile, p + 2u * TEAM, shared_at(tile, p + 2u * TEAM));
      add_shared(sources, tile, p + 3u * TEAM, shared_at(tile, p + 3u * TEAM));
    }
  }
}

fn write_shared(j: u32, t: u32, n: u32, tile: Tile, values: vec4f) {
  if (j >= 4u) { return; }
  if (tile.inside[j]) { shared_out[t * params.shared_outputs + n + j] = values[j]; }
}

fn shared_expert(lane: Lane, t: u32, first_output: u32) {
  let last = row_count() - 1u;
  let n = first_output + lane.index / TEAM * 4u;
  let tile = tile_at(0u, n, params.shared_outputs, 0u, params.shared_outputs);
  let rows = min(vec2u(t, t + 1u), vec2u(last));
  add_all_shared(lane, vec4u(rows, rows) * COLUMNS, tile);
  let scales = find_scales(lane);
  let j = lane.index % TEAM;
  write_shared(j, rows.x, n, tile, activate(lane, products0, scales.x));
  if (ROWS > 1u && t < last) { write_shared(j, rows.y, n, tile, activate(lane, products1, scales.y)); }
}
