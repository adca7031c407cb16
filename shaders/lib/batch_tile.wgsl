// Products of up to 32 rows with a tile of 8 · ACROSS rows of weights, which a workgroup of LANES adds up over K.
// A group's lanes have LANE_ROWS rows by 8 weights' sums each, ACROSS of them side by side, so that what they read serves several products
// a number. Groups share out K vec4 by vec4, two in turn to each, so that a workgroup reads whole lines. COLUMNS: K / 4.
// ACROSS: 2, 4 or 8. LANE_ROWS: 4 or 8.
// NORM: x is normed, by the roots of squares that are added up on the way and divide at the end (spec c.1).
// The kernel says what is multiplied: x, norm, params.epsilon, and weights_at, in the form that lib/held_*.wgsl has them wait in.

const ROWS = 32u;
const ROW_LANES = ROWS / LANE_ROWS;
const GROUP_LANES = ROW_LANES * ACROSS;
const GROUPS = LANES / GROUP_LANES;
const CHUNK = 2u * GROUPS; // vec4s of K that are held at once
const LANES_OF_VEC4 = LANES / CHUNK;
const X_LOADS = ROWS / LANES_OF_VEC4;
const W_LOADS = 8u * ACROSS / LANES_OF_VEC4;
const_assert ((X_LOADS == 2u || X_LOADS == 4u) && (W_LOADS == 2u || W_LOADS == 4u));
const_assert GROUPS % 4u == 0u;

// In the end lanes' sums take the place of x, in two rounds: in each both halves of half of a lane's rows.
const SLOTS = LANE_ROWS;
const PLACES = max(CHUNK, SLOTS * LANES / ROWS);

// All rows' vec4s of one place in K, lanes that share a place side by side; a pad, so that neighbouring places begin in other banks.
struct HeldX {
  rows: array<array<vec4f, ROW_LANES>, LANE_ROWS>,
  pad: vec4f,
}
struct HeldW {
  rows: array<array<held4, ACROSS>, 8>,
  pad: held4,
}
var<workgroup> held_x: array<HeldX, PLACES>;
var<workgroup> held_w: array<HeldW, CHUNK>;
var<workgroup> row_scales: array<f32, ROWS>;

// A lane's sums: columns are its rows 0 … 3 and 4 … 7, ROW_LANES apart in the tile; components its weights 0 … 3 (low) and 4 … 7 (high).
var<private> low0: mat4x4f;
var<private> low1: mat4x4f;
var<private> high0: mat4x4f;
var<private> high1: mat4x4f;

// What a lane brings: where its rows of x and of the weights begin, and what it has read of them ahead.
var<private> x_from: array<u32, 4>;
var<private> w_from: array<WeightRow, 4>;
var<private> next_x: array<vec4f, 4>;
var<private> next_w: array<held4, 4>;
var<private> next_norm: vec4f;
var<private> squares: array<f32, 4>;

// sums[j][i] += a_i · b_j, in the order of k: a[k][i] holds weights by columns of K, b[j] are rows as they lie.
fn add_products(sums: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(plus(sums[0], a, b[0]), plus(sums[1], a, b[1]), plus(sums[2], a, b[2]), plus(sums[3], a, b[3]));
}

fn plus(sums: vec4f, a: mat4x4f, b: vec4f) -> vec4f {
  return fma(a[3], b.wwww, fma(a[2], b.zzzz, fma(a[1], b.yyyy, fma(a[0], b.xxxx, sums))));
}

fn four_weights(at: u32, column: u32, first: u32) -> mat4x4f {
  if (first == 0u) {
    return transpose(mat4x4f(
      opened(held_w[at].rows[0][column]),
      opened(held_w[at].rows[1][column]),
      opened(held_w[at].rows[2][column]),
      opened(held_w[at].rows[3][column]),
    ));
  }
  return transpose(mat4x4f(
    opened(held_w[at].rows[4][column]),
    opened(held_w[at].rows[5][column]),
    opened(held_w[at].rows[6][column]),
    opened(held_w[at].rows[7][column]),
  ));
}

// Adds the products of one held vec4 of K.
fn advance(at: u32, column: u32, row: u32) {
  let w0 = four_weights(at, column, 0u);
  let w1 = four_weights(at, column, 4u);
  let x0 = mat4x4f(
    held_x[at].rows[0][row],
    held_x[at].rows[1][row],
    held_x[at].rows[2][row],
    held_x[at].rows[3][row],
  );
  low0 = add_products(low0, w0, x0);
  high0 = add_products(high0, w1, x0);
  if (LANE_ROWS == 4u) { return; }
  let x1 = mat4x4f(
    held_x[at].rows[4u % LANE_ROWS][row],
    held_x[at].rows[5u % LANE_ROWS][row],
    held_x[at].rows[6u % LANE_ROWS][row],
    held_x[at].rows[7u % LANE_ROWS][row],
  );
  low1 = add_products(low1, w0, x1);
  high1 = add_products(high1, w1, x1);
}

// x at vec4 k of a row that begins at `begin`, nothing past its end; where chunks end with it, what is read there is not used.
fn x_at(begin: u32, k: u32) -> vec4f {
  let value = x[begin + min(k, COLUMNS - 1u)];
  if (COLUMNS % CHUNK == 0u) { return value; }
  return select(vec4f(), value, k < COLUMNS);
}

fn read_ahead(k: u32) {
  let column = min(k, COLUMNS - 1u);
  next_x[0] = x_at(x_from[0], k);
  next_x[1] = x_at(x_from[1], k);
  if (X_LOADS > 2u) {
    next_x[2] = x_at(x_from[2], k);
    next_x[3] = x_at(x_from[3], k);
  }
  if (NORM) { next_norm = norm[column]; }
  next_w[0] = weights_at(w_from[0], column);
  next_w[1] = weights_at(w_from[1], column);
  if (W_LOADS > 2u) {
    next_w[2] = weights_at(w_from[2], column);
    next_w[3] = weights_at(w_from[3], column);
  }
}

fn hold_x(at: u32, row: u32, value: vec4f) -> f32 {
  if (!NORM) {
    held_x[at].rows[row / ROW_LANES][row % ROW_LANES] = value;
    return 0.0;
  }
  held_x[at].rows[row / ROW_LANES][row % ROW_LANES] = value * next_norm;
  return dot(value, value);
}

fn hold_w(at: u32, row: u32, value: held4) { held_w[at].rows[row % 8u][row / 8u] = value; }

// Holds what was read ahead. `row` is the lane's first of x and of the weights alike.
fn hold_next(at: u32, row: u32) {
  squares[0] += hold_x(at, row, next_x[0]);
  squares[1] += hold_x(at, row + LANES_OF_VEC4, next_x[1]);
  if (X_LOADS > 2u) {
    squares[2] += hold_x(at, row + 2u * LANES_OF_VEC4, next_x[2]);
    squares[3] += hold_x(at, row + 3u * LANES_OF_VEC4, next_x[3]);
  }
  hold_w(at, row, next_w[0]);
  hold_w(at, row + LANES_OF_VEC4, next_w[1]);
  if (W_LOADS > 2u) {
    hold_w(at, row + 2u * LANES_OF_VEC4, next_w[2]);
    hold_w(at, row + 3u * LANES_OF_VEC4, next_w[3]);
  }
}

// Where the lane's rows begin; x_row and weight_row tell of one row each.
fn find_rows(lane: u32) {
  let row = lane / CHUNK;
  x_from[0] = x_row(row) * COLUMNS;
  x_from[1] = x_row(row + LANES_OF_VEC4) * COLUMNS;
  if (X_LOADS > 2u) {
    x_from[2] = x_row(row + 2u * LANES_OF_VEC4) * COLUMNS;
    x_from[3] = x_row(row + 3u * LANES_OF_VEC4) * COLUMNS;
  }
  w_from[0] = weight_row(row);
  w_from[1] = weight_row(row + LANES_OF_VEC4);
  if (W_LOADS > 2u) {
    w_from[2] = weight_row(row + 2u * LANES_OF_VEC4);
    w_from[3] = weight_row(row + 3u * LANES_OF_VEC4);
  }
}

// Leaves the lanes' sums in low and high, and the rows' scales in row_scales behind the next barrier.
fn add_up(lane: u32) {
  let group = lane / GROUP_LANES;
  let column = lane % ACROSS;
  let row = lane % GROUP_LANES / ACROSS;
  let own = lane % CHUNK;
  find_rows(lane);
  read_ahead(own);
  for (var k = 0u; k < COLUMNS; k += CHUNK) {
    workgroupBarrier(); // what is held may still be being read
    hold_next(own, lane / CHUNK);
    workgroupBarrier();
    read_ahead(k + CHUNK + own); // on its way while this is multiplied
    advance(2u * group, column, row);
    advance(2u * group + 1u, column, row);
  }
  if (NORM) { find_scales(lane); }
}

// An index that is no constant would keep the squares out of registers.
fn find_scales(lane: u32) {
  let at = lane % CHUNK;
  let row = lane / CHUNK;
  workgroupBarrier();
  hold_square(at, row, squares[0]);
  hold_square(at, row + LANES_OF_VEC4, squares[1]);
  if (X_LOADS > 2u) {
    hold_square(at, row + 2u * LANES_OF_VEC4, squares[2]);
    hold_square(at, row + 3u * LANES_OF_VEC4, squares[3]);
  }
  workgroupBarrier();
  if (lane >= ROWS) { return; }
  var sums = vec4f();
  for (var i = 0u; i < CHUNK; i += 4u) {
    sums += vec4f(held_square(i, lane), held_square(i + 1u, lane), held_square(i + 2u, lane), held_square(i + 3u, lane));
  }
  row_scales[lane] = 1.0 / sqrt(((sums.x + sums.y) + (sums.z + sums.w)) / f32(4u * COLUMNS) + params.epsilon);
}

fn hold_square(at: u32, row: u32, square: f32) { held_x[at].rows[row / ROW_LANES][row % ROW_LANES].x = square; }

fn held_square(at: u32, row: u32) -> f32 { return held_x[at].rows[row / ROW_LANES][row % ROW_LANES].x; }

fn hold_sums(slot: u32, lane: u32, sums: vec4f) {
  let at = slot * LANES + lane;
  held_x[at / ROWS].rows[at % ROWS / ROW_LANES][at % ROW_LANES] = sums;
}

// Holds the sums of a lane's rows 0 and 1 of two or of four, or behind them those of 2 and 3. Code that a step comes to once is short, as it is
// fetched from far away.
fn hold_rows(lane: u32, low: mat2x4f, high: mat2x4f, slot: u32) {
  hold_sums(slot, lane, low[0]);
  hold_sums(slot + 1u, lane, high[0]);
  hold_sums(slot + 2u, lane, low[1]);
  hold_sums(slot + 3u, lane, high[1]);
}

// Brings together what all lanes have of the first or the other half of their rows.
fn gather(lane: u32, round: u32) {
  let first = round == 0u;
  workgroupBarrier();
  if (LANE_ROWS == 4u) {
    let low = mat2x4f(select(low0[2], low0[0], first), select(low0[3], low0[1], first));
    let high = mat2x4f(select(high0[2], high0[0], first), select(high0[3], high0[1], first));
    hold_rows(lane, low, high, 0u);
  } else {
    let low = mat2x4f(select(low1[0], low0[0], first), select(low1[1], low0[1], first));
    let high = mat2x4f(select(high1[0], high0[0], first), select(high1[1], high0[1], first));
    let other_low = mat2x4f(select(low1[2], low0[2], first), select(low1[3], low0[3], first));
    let other_high = mat2x4f(select(high1[2], high0[2], first), select(high1[3], high0[3], first));
    hold_rows(lane, low, high, 0u);
    hold_rows(lane, other_low, other_high, 4u);
  }
  workgroupBarrier();
}

fn held_sums(at: u32) -> vec4f { return held_x[at / ROWS].rows[at % ROWS / ROW_LANES][at % ROW_LANES]; }

// The whole sums of a group's lane, in the order of the groups.
fn group_sums(slot: u32, lane: u32) -> vec4f {
  var at = slot * LANES + lane;
  var sums = vec4f();
  for (var group = 0u; group < GROUPS; group += 4u) {
    sums = (((sums + held_sums(at)) + held_sums(at + GROUP_LANES)) + held_sums(at + 2u * GROUP_LANES)) +
      held_sums(at + 3u * GROUP_LANES);
    at += 4u * GROUP_LANES;
  }
  return sums;
}

// The tile's row of the i-th of a group's lanes' sums in a round, both halves being counted once.
fn row_of(round: u32, i: u32) -> u32 { return (round * (SLOTS / 2u) + i / GROUP_LANES) * ROW_LANES + i % GROUP_LANES / ACROSS; }
