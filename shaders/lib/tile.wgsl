// Four neighbouring rows of one matrix of a stack [E, N, K], as far as they lie in the part of the weight that is bound.
// SCALED: each block of BLOCK_ROWS × BLOCK_COLUMNS weights of a matrix has one factor.

struct Tile {
  rows: vec4u, // within the part; any row of it where the wanted one lies outside
  inside: vec4<bool>,
  blocks: vec4u, // rows of factors
}

// Rows n … n + 3 of matrix e; the part holds `count` of the stack's rows, from `first` on.
fn tile_at(e: u32, n: u32, N: u32, first: u32, count: u32) -> Tile {
  return tile_of(e, vec4u(n) + vec4u(0u, 1u, 2u, 3u), N, first, count);
}

// The same of any four rows.
fn tile_of(e: u32, rows: vec4u, N: u32, first: u32, count: u32) -> Tile {
  let stacked = e * N + rows;
  let inside = (rows < vec4u(N)) & (stacked >= vec4u(first)) & (stacked < vec4u(first + count));
  let blocks = e * ((N + BLOCK_ROWS - 1u) / BLOCK_ROWS) + min(rows, vec4u(N - 1u)) / BLOCK_ROWS;
  return Tile(select(vec4u(), stacked - first, inside), inside, blocks);
}

// Indices of the tile's factors at the columns 4i … 4i + 3 of `columns` · 4.
fn factor_indices(tile: Tile, i: u32, columns: u32) -> vec4u {
  return tile.blocks * ((4u * columns + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS) + 4u * i / BLOCK_COLUMNS;
}

// The same of one row and one matrix.
fn factor_index(n: u32, i: u32, columns: u32) -> u32 {
  return n / BLOCK_ROWS * ((4u * columns + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS) + 4u * i / BLOCK_COLUMNS;
}

// Whether row n of matrix e, and three more, lie in the part: where all begin and end with a multiple of four.
fn is_inside(e: u32, n: u32, N: u32, first: u32, count: u32) -> bool {
  let stacked = e * N + n;
  return n < N && stacked >= first && stacked < first + count;
}
