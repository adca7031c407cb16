// Which rows a tile of a product takes: TILE_ROWS neighbours, or if ROUTED choices that share an expert (sort_experts.wgsl).

struct RowTile {
  expert: u32,
  count: u32,
}

var<workgroup> tile_rows: array<u32, TILE_ROWS>; // row or choice; past the last one that one again

// The tile of this index, of ROW_TILES if ROUTED; its rows are known behind the next barrier.
fn take_rows(lane: u32, index: u32, rows: u32) -> RowTile {
  var first = index * TILE_ROWS;
  var tile = RowTile(0u, min(TILE_ROWS, rows - first));
  if (ROUTED) {
    first = 4u * ROW_TILES + places[4u * index + 1u];
    tile = RowTile(places[4u * index], places[4u * index + 2u]);
  }
  if (tile.count == 0u) { return tile; }
  for (var i = lane; i < TILE_ROWS; i += LANES) {
    let at = first + min(i, tile.count - 1u);
    if (ROUTED) { tile_rows[i] = places[at]; } else { tile_rows[i] = at; }
  }
  return tile;
}
