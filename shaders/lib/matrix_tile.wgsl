// Matrix products by tiles on matrix units (lib/matrices.wgsl): a workgroup holds DEPTH · 8 columns of K of both operands as f16 and
// multiplies them while the next ones are on their way, each of its DOWN × ACROSS subgroups for 4 × 2 matrices of sums.
// A sum goes through K in its order, whatever the tile is. Subgroups take rows of matrices in turn, so that all have work where a tile has few.
// The kernel says what is in the tile: x_at(at) and weight_at(i, at) are eight neighbouring columns, of a thread's i-th row of the weight,
// halves_at(i, k, w) such weights as f16, columns_of_loads(line) the tile's columns that they are. write_sums takes what has come out.
// Matrices are named one by one, handed on by value, and lie where the compiler sees in each function that they do, which is what remainders
// are for: an array of sums behind a pointer stays in memory, which costs three quarters of the speed, and a place that must be checked has no
// constant distance of rows, which costs up to a half.

const TILE_ROWS = DOWN * 4u * MATRIX_M;
const TILE_COLUMNS = ACROSS * 2u * MATRIX_N;
const OCTETS = MATRIX_K / 8u; // of a matrix
const STEP = LANES / DEPTH; // rows that all threads load at once
const X_LOADS = TILE_ROWS / STEP;
const W_LOADS = TILE_COLUMNS / STEP;

const_assert LANES == DOWN * ACROSS * SUBGROUP && DEPTH % OCTETS == 0u;
const_assert X_LOADS * STEP == TILE_ROWS && W_LOADS * STEP == TILE_COLUMNS && X_LOADS <= 4u && W_LOADS <= 4u;

// From one row to the next: odd, so that what is read at once lies in different banks.
const PITCH = DEPTH + 1u;

// A subgroup's sums of one row of matrices.
const OWN_COLUMNS = 2u * MATRIX_N;
const OWN_SUMS = MATRIX_M * OWN_COLUMNS;

// Of a row of matrices.
struct RowSums {
  a: Sum,
  b: Sum,
}

struct Columns {
  a: Right,
  b: Right,
}

var<workgroup> held: array<vec4u, max((TILE_ROWS + TILE_COLUMNS) * PITCH, DOWN * ACROSS * OWN_SUMS / 4u)>; // x and weights, or sums

// First row, within the tile, of a subgroup's i-th row of matrices.
fn row_of(subgroup: u32, i: u32) -> u32 { return (i * DOWN + subgroup % DOWN) * MATRIX_M; }

fn rows_at(subgroup: u32, i: u32, k: u32) -> Left {
  let row = (i % 4u * DOWN + subgroup % DOWN) * MATRIX_M;
  return subgroupMatrixLoad<Left, row_major>(&held, row * PITCH + k % DEPTH, PITCH);
}

fn columns_at(subgroup: u32, k: u32) -> Columns {
  let first = (TILE_ROWS + subgroup / DOWN % ACROSS * OWN_COLUMNS) * PITCH + k % DEPTH;
  return Columns(
    subgroupMatrixLoad<Right, col_major>(&held, first, PITCH),
    subgroupMatrixLoad<Right, col_major>(&held, first + MATRIX_N * PITCH, PITCH),
  );
}

fn added(sums: RowSums, rows: Left, columns: Columns) -> RowSums {
  return RowSums(
    subgroupMatrixMultiplyAccumulate(rows, columns.a, sums.a),
    subgroupMatrixMultiplyAccumulate(rows, columns.b, sums.b),
  );
}

// A subgroup's row of matrices, to all of its threads.
fn hand_out(sums: RowSums, own: u32, subgroup: u32, i: u32, count: u32) {
  let first = subgroup % (DOWN * ACROSS) * OWN_SUMS / 4u;
  workgroupBarrier(); // what was held before may still be being read
  subgroupMatrixStore<row_major>(&held, first, sums.a, OWN_COLUMNS / 4u);
  subgroupMatrixStore<row_major>(&held, first + MATRIX_N / 4u, sums.b, OWN_COLUMNS / 4u);
  workgroupBarrier();
  write_sums(own, first, vec2u(subgroup / DOWN * OWN_COLUMNS, row_of(subgroup, i)), count);
}

// Four of the sums that are held.
fn held_sums(i: u32) -> vec4f { return bitcast<vec4f>(held[i]); }

// The products of a tile with `count` rows, over `depth` · 8 columns of K. x_rows and w_rows are where those begin that a thread loads.
fn multiply_tile(lane: u32, subgroup: u32, own: u32, count: u32, depth: u32, x_rows: vec4u, w_rows: vec4u) {
  let part = lane % DEPTH;
  let to = lane / DEPTH * PITCH + part;
  let w_to = (TILE_ROWS + columns_of_loads(lane / DEPTH)) * PITCH + part;
  var sums0: RowSums;
  var sums1: RowSums;
  var sums2: RowSums;
  var sums3: RowSums;
  var x0 = x_at(x_rows.x + part);
  var x1: vec4u;
  var x2: vec4u;
  var x3: vec4u;
  if (X_LOADS > 1u) { x1 = x_at(x_rows.y + part); }
  if (X_LOADS > 2u) { x2 = x_at(x_rows.z + part); }
  if (X_LOADS > 3u) { x3 = x_at(x_rows.w + part); }
  var w0 = weight_at(0u, w_rows.x + part);
  var w1: weight8;
  var w2: weight8;
  var w3: weight8;
  if (W_LOADS > 1u) { w1 = weight_at(1u, w_rows.y + part); }
  if (W_LOADS > 2u) { w2 = weight_at(2u, w_rows.z + part); }
  if (W_LOADS > 3u) { w3 = weight_at(3u, w_rows.w + part); }
  for (var base = 0u; base < depth; base += DEPTH) {
    let k = base + part;
    workgroupBarrier(); // the columns before may still be being read
    held[to] = x0;
    if (X_LOADS > 1u) { held[to + STEP * PITCH] = x1; }
    if (X_LOADS > 2u) { held[to + 2u * STEP * PITCH] = x2; }
    if (X_LOADS > 3u) { held[to + 3u * STEP * PITCH] = x3; }
    held[w_to.x] = halves_at(0u, k, w0);
    if (W_LOADS > 1u) { held[w_to.y] = halves_at(1u, k, w1); }
    if (W_LOADS > 2u) { held[w_to.z] = halves_at(2u, k, w2); }
    if (W_LOADS > 3u) { held[w_to.w] = halves_at(3u, k, w3); }
    workgroupBarrier();
    // The next columns are on their way while these are multiplied.
    let next = k + DEPTH;
    x0 = x_at(x_rows.x + next);
    if (X_LOADS > 1u) { x1 = x_at(x_rows.y + next); }
    if (X_LOADS > 2u) { x2 = x_at(x_rows.z + next); }
    if (X_LOADS > 3u) { x3 = x_at(x_rows.w + next); }
    w0 = weight_at(0u, w_rows.x + next);
    if (W_LOADS > 1u) { w1 = weight_at(1u, w_rows.y + next); }
    if (W_LOADS > 2u) { w2 = weight_at(2u, w_rows.z + next); }
    if (W_LOADS > 3u) { w3 = weight_at(3u, w_rows.w + next); }
    {
      let columns = columns_at(subgroup, 0u);
      sums0 = added(sums0, rows_at(subgroup, 0u, 0u), columns);
      if (!ROUTED || row_of(subgroup, 1u) < count) { sums1 = added(sums1, rows_at(subgroup, 1u, 0u), columns); }
      if (!ROUTED || row_of(subgroup, 2u) < count) { sums2 = added(sums2, rows_at(subgroup, 2u, 0u), columns); }
      if (!ROUTED || row_of(subgroup, 3u) < count) { sums3 = added(sums3, rows_at(subgroup, 3u, 0u), columns); }
    }
    if (DEPTH > OCTETS) {
      let columns = columns_at(subgroup, OCTETS);
      sums0 = added(sums0, rows_at(subgroup, 0u, OCTETS), columns);
      if (!ROUTED || row_of(subgroup, 1u) < count) { sums1 = added(sums1, rows_at(subgroup, 1u, OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 2u) < count) { sums2 = added(sums2, rows_at(subgroup, 2u, OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 3u) < count) { sums3 = added(sums3, rows_at(subgroup, 3u, OCTETS), columns); }
    }
    if (DEPTH > 2u * OCTETS) {
      let columns = columns_at(subgroup, 2u * OCTETS);
      sums0 = added(sums0, rows_at(subgroup, 0u, 2u * OCTETS), columns);
      if (!ROUTED || row_of(subgroup, 1u) < count) { sums1 = added(sums1, rows_at(subgroup, 1u, 2u * OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 2u) < count) { sums2 = added(sums2, rows_at(subgroup, 2u, 2u * OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 3u) < count) { sums3 = added(sums3, rows_at(subgroup, 3u, 2u * OCTETS), columns); }
    }
    if (DEPTH > 3u * OCTETS) {
      let columns = columns_at(subgroup, 3u * OCTETS);
      sums0 = added(sums0, rows_at(subgroup, 0u, 3u * OCTETS), columns);
      if (!ROUTED || row_of(subgroup, 1u) < count) { sums1 = added(sums1, rows_at(subgroup, 1u, 3u * OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 2u) < count) { sums2 = added(sums2, rows_at(subgroup, 2u, 3u * OCTETS), columns); }
      if (!ROUTED || row_of(subgroup, 3u) < count) { sums3 = added(sums3, rows_at(subgroup, 3u, 3u * OCTETS), columns); }
    }
    for (var k = 4u * OCTETS; k < DEPTH; k += OCTETS) {
      let columns = columns_at(subgroup, k);
      sums0 = added(sums0, rows_at(subgroup, 0u, k), columns);
      if (!ROUTED || row_of(subgroup, 1u) < count) { sums1 = added(sums1, rows_at(subgroup, 1u, k), columns); }
      if (!ROUTED || row_of(subgroup, 2u) < count) { sums2 = added(sums2, rows_at(subgroup, 2u, k), columns); }
      if (!ROUTED || row_of(subgroup, 3u) < count) { sums3 = added(sums3, rows_at(subgroup, 3u, k), columns); }
    }
  }
  hand_out(sums0, own, subgroup, 0u, count);
  if (DOWN * MATRIX_M < count) { hand_out(sums1, own, subgroup, 1u, count); }
  if (2u * DOWN * MATRIX_M < count) { hand_out(sums2, own, subgroup, 2u, count); }
  if (3u * DOWN * MATRIX_M < count) { hand_out(sums3, own, subgroup, 3u, count); }
}

// Rows of the tile that a thread loads, from its first one on.
fn tile_rows_of(line: u32) -> vec4u {
  let at = min(line + STEP * vec4u(0u, 1u, 2u, 3u), vec4u(TILE_ROWS - 1u));
  return vec4u(tile_rows[at.x], tile_rows[at.y], tile_rows[at.z], tile_rows[at.w]);
}
