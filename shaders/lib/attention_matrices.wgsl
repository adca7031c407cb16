// What a workgroup holds of attention by matrix units (lib/matrices.wgsl): keys, values, scores and weights of KEYS positions, for
// TILE_ROWS rows of SIZE channels. A subgroup has MATRIX_M rows, which TEAM_LANES of its threads share out each.

const KEYS = 2u * MATRIX_N;
const TILE_ROWS = DOWN * MATRIX_M;
const OCTETS = SIZE / 8u; // of a row
const PITCH = OCTETS + 1u; // odd, so that what is read at once lies in different banks
const TEAM_LANES = SUBGROUP / MATRIX_M;
const TEAM_QUADS = KEYS / TEAM_LANES / 4u; // scores of a row that a thread has
const SCORES = KEYS / 4u + 1u; // vec4s from one row of scores to the next
const WEIGHTS = KEYS / 8u + 1u;
const VALUES_AT = KEYS * PITCH; // two stages of values
const SCORES_AT = 3u * KEYS * PITCH;
const WEIGHTS_AT = SCORES_AT + TILE_ROWS * SCORES;
const LOADS = (KEYS * OCTETS + LANES - 1u) / LANES;

const_assert LANES == DOWN * SUBGROUP && TILE_ROWS == QUERIES * SPAN && SPAN % MATRIX_M == 0u && PAGE % KEYS == 0u;
const_assert KEYS / MATRIX_K <= 2u && KEYS % MATRIX_K == 0u && SIZE % MATRIX_K == 0u && SIZE % KEYS == 0u && SIZE <= 8u * min(MATRIX_K, MATRIX_N) && LOADS <= 4u;
const_assert TEAM_LANES * MATRIX_M == SUBGROUP && TEAM_LANES <= 4u && TEAM_QUADS % 2u == 0u && TEAM_QUADS <= 4u && 4u * TEAM_QUADS * TEAM_LANES == KEYS;

var<workgroup> held: array<vec4u, max(WEIGHTS_AT + TILE_ROWS * WEIGHTS, TILE_ROWS * PITCH)>; // keys, values, scores, weights; queries before

var<private> row: u32; // of the tile, that a thread has a part of
var<private> part: u32;

struct Eight {
  low: quad,
  high: quad,
}

fn halves_of(low: vec4f, high: vec4f) -> vec4u {
  return vec4u(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}

fn hold(first: u32, i: u32, eight: Eight) {
  if (i < KEYS * OCTETS) { held[first + i / OCTETS * PITCH + i % OCTETS] = halves_of_quads(eight.low, eight.high); }
}

// Matrices lie where the compiler sees that they do: a place that it must check costs much, as the distance of rows is no constant then.
fn queries_at(subgroup: u32, k: u32) -> Left {
  return subgroupMatrixLoad<Left, row_major>(&held, subgroup % DOWN * MATRIX_M * PITCH + k * MATRIX_K / 8u % OCTETS, PITCH);
}

fn key_columns(j: u32, k: u32) -> Right {
  return subgroupMatrixLoad<Right, col_major>(&held, j % 2u * MATRIX_N * PITCH + k * MATRIX_K / 8u % OCTETS, PITCH);
}

fn value_columns(stage: u32, k: u32, j: u32) -> Right {
  let first = VALUES_AT + stage % 2u * KEYS * PITCH + k % (KEYS / MATRIX_K) * MATRIX_K * PITCH;
  return subgroupMatrixLoad<Right, row_major>(&held, first + j * MATRIX_N / 8u % OCTETS, PITCH);
}

fn weights_at(subgroup: u32, k: u32) -> Left {
  let first = WEIGHTS_AT + subgroup % DOWN * MATRIX_M * WEIGHTS + k % (KEYS / MATRIX_K) * MATRIX_K / 8u;
  return subgroupMatrixLoad<Left, row_major>(&held, first, WEIGHTS);
}

fn hold_sums(subgroup: u32, first: Sum, second: Sum) {
  let to = SCORES_AT + subgroup % DOWN * MATRIX_M * SCORES;
  subgroupMatrixStore<row_major>(&held, to, first, SCORES);
  subgroupMatrixStore<row_major>(&held, to + MATRIX_N / 4u, second, SCORES);
}

fn held_sums(subgroup: u32, j: u32) -> Sum {
  return subgroupMatrixLoad<Sum, row_major>(&held, SCORES_AT + subgroup % DOWN * MATRIX_M * SCORES + j % 2u * MATRIX_N / 4u, SCORES);
}

// A thread's i-th four of a row of scores, or of other sums.
fn own_at(i: u32) -> u32 { return SCORES_AT + row * SCORES + part * TEAM_QUADS + i; }

fn own(i: u32) -> vec4f { return bitcast<vec4f>(held[own_at(min(i, TEAM_QUADS - 1u))]); }

fn largest_in(scores: vec4f) -> f32 { return max(max(scores.x, scores.y), max(scores.z, scores.w)); }

fn largest_of_team(value: f32) -> f32 {
  var largest = value;
  if (TEAM_LANES > 1u) { largest = max(largest, subgroupShuffleXor(largest, 1u)); }
  if (TEAM_LANES > 2u) { largest = max(largest, subgroupShuffleXor(largest, 2u)); }
  return largest;
}

fn total_of_team(value: f32) -> f32 {
  var total = value;
  if (TEAM_LANES > 1u) { total += subgroupShuffleXor(total, 1u); }
  if (TEAM_LANES > 2u) { total += subgroupShuffleXor(total, 2u); }
  return total;
}

// Makes eight weights of the row; gives the sum of them as they are multiplied.
fn hold_weights(i: u32, scores0: vec4f, scores1: vec4f, m: f32) -> f32 {
  let halves = halves_of(exp2(scores0 - m), exp2(scores1 - m));
  held[WEIGHTS_AT + row * WEIGHTS + (part * TEAM_QUADS + i) / 2u] = halves;
  let low = vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
  let high = vec4f(unpack2x16float(halves.z), unpack2x16float(halves.w));
  return dot(low + high, vec4f(1.0));
}

// 2^-n, or nearly nothing.
fn power_down(n: f32) -> f32 { return bitcast<f32>((127u - u32(clamp(n, 0.0, 126.0))) << 23u); }

struct Pair {
  first: Sum,
  second: Sum,
}

// The row's sums times a factor of its own.
fn scaled_sums(subgroup: u32, first: Sum, second: Sum, factor: f32) -> Pair {
  hold_sums(subgroup, first, second);
  workgroupBarrier();
  for (var i = 0u; i < TEAM_QUADS; i++) { held[own_at(i)] = bitcast<vec4u>(own(i) * factor); }
  workgroupBarrier();
  let pair = Pair(held_sums(subgroup, 0u), held_sums(subgroup, 1u));
  workgroupBarrier();
  return pair;
}
