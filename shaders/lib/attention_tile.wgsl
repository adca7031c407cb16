// Attention of 8 · DOWN rows by workgroups of 16 × DOWN threads (lib/register_tile.wgsl): scores of 64 keys at a time, then
// weighted sums of their values. A thread has rows y, y + DOWN, …; keys 4x … 4x + 3; channels 4x … and 4 (x + 16) … of the sums.
// SIZE: channels of a head, D, at most 128. The kernel says where rows are: query_at, key_at, value_at.
// Workgroup memory is arrays of arrays, as each index is checked by itself: a thread's own come first into one address, and what
// unrolled code reads lies at constant distances from it.

const_assert ACROSS == 16u && SIZE <= 128u;

const TILE_ROWS = 8u * DOWN;
const TILE_KEYS = 64u;
const CHANNELS4 = SIZE / 4u;
const STEP = LANES / 8u; // rows of 32 channels that all threads load at once
const VALUE_STEP = LANES / 32u; // keys whose values they do

var<workgroup> left: array<array<array<array<vec4f, 4>, DOWN>, 8>, 4>; // [k / 4][i][y][k % 4], queries of 32 channels, or factors of 64 keys
var<workgroup> right: array<array<array<vec4f, 9>, 16>, 4>; // [j][x][k], 32 channels of 64 keys, or values of 16; the ninth keeps banks apart

// A column for each row of a block of four, keys 4x …
var<private> scores0: mat4x4f;
var<private> scores1: mat4x4f;
// A column for each row, channels 4x … or 4 (x + 16) …
var<private> sums00: mat4x4f;
var<private> sums01: mat4x4f;
var<private> sums10: mat4x4f;
var<private> sums11: mat4x4f;

// Four rows from the thread's i-th on.
fn rows_of(part: u32, i: u32, y: u32, k: u32) -> mat4x4f {
  return mat4x4f(left[part][i][y][k], left[part][i + 1u][y][k], left[part][i + 2u][y][k], left[part][i + 3u][y][k]);
}

fn hold_row(row: u32, k: u32, value: vec4f) { left[k / 4u][row / DOWN][row % DOWN][k % 4u] = value; }

fn load_queries(lane: u32, base: u32) -> mat4x4f {
  let row = lane / 8u;
  let c = base + lane % 8u;
  return mat4x4f(query_at(row, c), query_at(row + STEP, c), query_at(row + 2u * STEP, c), query_at(row + 3u * STEP, c));
}

fn hold_queries(lane: u32, queries: mat4x4f) {
  let row = lane / 8u;
  hold_row(row, lane % 8u, queries[0]);
  hold_row(row + STEP, lane % 8u, queries[1]);
  hold_row(row + 2u * STEP, lane % 8u, queries[2]);
  hold_row(row + 3u * STEP, lane % 8u, queries[3]);
}

fn load_keys(lane: u32, base: u32) -> mat4x4f {
  let row = lane / 8u;
  let c = base + lane % 8u;
  var keys = mat4x4f(key_at(row, c), key_at(row + STEP, c), vec4f(), vec4f());
  if (DOWN == 8u) {
    keys[2] = key_at(row + 2u * STEP, c);
    keys[3] = key_at(row + 3u * STEP, c);
  }
  return keys;
}

fn hold_key(row: u32, k: u32, key: vec4f) { right[row % 4u][row / 4u][k] = key; }

fn hold_keys(lane: u32, keys: mat4x4f) {
  let row = lane / 8u;
  hold_key(row, lane % 8u, keys[0]);
  hold_key(row + STEP, lane % 8u, keys[1]);
  if (DOWN == 8u) {
    hold_key(row + 2u * STEP, lane % 8u, keys[2]);
    hold_key(row + 3u * STEP, lane % 8u, keys[3]);
  }
}

fn add_scores(part: u32, k: u32, at: vec2u) {
  let c = 4u * part + k;
  let keys = transpose(mat4x4f(right[0][at.x][c], right[1][at.x][c], right[2][at.x][c], right[3][at.x][c]));
  scores0 = multiply(scores0, keys, rows_of(part, 0u, at.y, k));
  scores1 = multiply(scores1, keys, rows_of(part, 4u, at.y, k));
}

// Makes the scores q · k.
fn score_keys(lane: u32, at: vec2u) {
  scores0 = mat4x4f();
  scores1 = mat4x4f();
  var queries = load_queries(lane, 0u);
  var keys = load_keys(lane, 0u);
  for (var base = 0u; base < CHANNELS4; base += 8u) {
    workgroupBarrier(); // what was held before may still be being read
    hold_queries(lane, queries);
    hold_keys(lane, keys);
    workgroupBarrier();
    if (base + 8u < CHANNELS4) {
      queries = load_queries(lane, base + 8u);
      keys = load_keys(lane, base + 8u);
    }
    add_scores(0u, 0u, at);
    add_scores(0u, 1u, at);
    add_scores(0u, 2u, at);
    add_scores(0u, 3u, at);
    add_scores(1u, 0u, at);
    add_scores(1u, 1u, at);
    add_scores(1u, 2u, at);
    add_scores(1u, 3u, at);
  }
}

// Keeps the factors of a thread's rows and keys, a column for each row.
fn hold_factors(at: vec2u, factors0: mat4x4f, factors1: mat4x4f) {
  let part = at.x / 4u;
  let k = at.x % 4u;
  left[part][0][at.y][k] = factors0[0];
  left[part][1][at.y][k] = factors0[1];
  left[part][2][at.y][k] = factors0[2];
  left[part][3][at.y][k] = factors0[3];
  left[part][4][at.y][k] = factors1[0];
  left[part][5][at.y][k] = factors1[1];
  left[part][6][at.y][k] = factors1[2];
  left[part][7][at.y][k] = factors1[3];
}

fn load_values(lane: u32, base: u32) -> mat4x4f {
  let row = base + lane / 32u;
  let c = lane % 32u;
  var values = mat4x4f(value_at(row, c), value_at(row + VALUE_STEP, c), vec4f(), vec4f());
  if (DOWN == 8u) {
    values[2] = value_at(row + 2u * VALUE_STEP, c);
    values[3] = value_at(row + 3u * VALUE_STEP, c);
  }
  return values;
}

fn hold_value(row: u32, c: u32, value: vec4f) { right[row / 4u][c % 16u][row % 4u + c / 16u * 4u] = value; }

fn hold_values(lane: u32, values: mat4x4f) {
  let row = lane / 32u;
  hold_value(row, lane % 32u, values[0]);
  hold_value(row + VALUE_STEP, lane % 32u, values[1]);
  if (DOWN == 8u) {
    hold_value(row + 2u * VALUE_STEP, lane % 32u, values[2]);
    hold_value(row + 3u * VALUE_STEP, lane % 32u, values[3]);
  }
}

fn values_of(j: u32, x: u32, k: u32) -> mat4x4f {
  return mat4x4f(right[j][x][k], right[j][x][k + 1u], right[j][x][k + 2u], right[j][x][k + 3u]);
}

// Four keys, the k-th four of the 16 that are held.
fn add_values(part: u32, k: u32, at: vec2u) {
  let factors0 = rows_of(part, 0u, at.y, k);
  let factors1 = rows_of(part, 4u, at.y, k);
  let values0 = values_of(k, at.x, 0u);
  sums00 = multiply(sums00, values0, factors0);
  sums10 = multiply(sums10, values0, factors1);
  if (CHANNELS4 > 16u) {
    let values1 = values_of(k, at.x, 4u);
    sums01 = multiply(sums01, values1, factors0);
    sums11 = multiply(sums11, values1, factors1);
  }
}

// Adds to the sums what the factors make of the values of `count` keys.
fn weigh_values(lane: u32, at: vec2u, count: u32) {
  var values = load_values(lane, 0u);
  for (var base = 0u; base < count; base += 16u) {
    workgroupBarrier(); // what was held before may still be being read
    hold_values(lane, values);
    workgroupBarrier();
    if (base + 16u < count) { values = load_values(lane, base + 16u); }
    let part = base / 16u;
    add_values(part, 0u, at);
    add_values(part, 1u, at);
    add_values(part, 2u, at);
    add_values(part, 3u, at);
  }
}
