// Pieces of a tile's four rows at the same columns. TEAM lanes share out a row of COLUMNS vec4s.

const PIECES = COLUMNS / PIECE;

// Small pieces whose reads are under way at once: loops that must be bounded are not unrolled by the compiler. Of one row four, of several
// two if that is not all: their code is long, and a step fetches it anew each time.
const TURNS = select(select(1u, 2u, PIECES % (2u * TEAM) == 0u), 4u, PIECES % (4u * TEAM) == 0u && (ROWS == 1u || PIECES == 4u * TEAM));

struct Pieces {
  a: piece,
  b: piece,
  c: piece,
  d: piece,
  factors: factor4,
}

// Codes of the rows at the piece's j-th four columns: x * fours(…) are the four products.
fn fours(held: Pieces, j: u32) -> mat4x4f {
  return mat4x4f(codes_of(held.a, j), codes_of(held.b, j), codes_of(held.c, j), codes_of(held.d, j));
}
