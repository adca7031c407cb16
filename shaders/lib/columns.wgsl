// Which columns, four at a time, each of the SHARERS lanes of a sum goes through: UNROLL of them a round, so that their reads are under
// way at once, as compilers unroll no loop that must be bounded. Weights with factors go by neighbours, which share what is read.
// COLUMNS: K / 4.

const UNROLL = select(select(1u, 2u, COLUMNS % (2u * SHARERS) == 0u), 4u, COLUMNS % (4u * SHARERS) == 0u);
const ROUND = UNROLL * SHARERS;

// The k-th column of the round that begins at `begin`, of the lane `own` among those that share.
fn column_of(begin: u32, own: u32, k: u32) -> u32 {
  if (SCALED && UNROLL > 1u) { return begin + 2u * own + k % 2u + k / 2u * 2u * SHARERS; }
  return begin + own + k * SHARERS;
}

// Only the last round of single columns may pass the end.
fn is_column(i: u32) -> bool { return UNROLL > 1u || i < COLUMNS; }
