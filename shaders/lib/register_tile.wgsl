// Matrix products by tiles: a workgroup holds both operands' next DEPTH · 4 columns of K, each thread the sums of its rows and columns.
// A workgroup of LANES = ACROSS × DOWN threads, multiples of 8 and 4: neighbouring threads read neighbouring columns, and share rows.
// A thread's i-th row is i · DOWN + its y, its j-th column j · ACROSS + its x; both come in blocks of four.

const_assert LANES == ACROSS * DOWN && ACROSS % 8u == 0u && DOWN % 4u == 0u;

const DEPTH = 4u;

// vec4s from one row of a tile to the next where tiles are arrays of arrays [i][x or y][k]: odd, so that threads side by side hit different
// banks. Each index is checked by itself there, so that a thread's own makes one address, and what unrolled code reads lies at constant
// distances from it.
const PITCH = DEPTH + 1u;

// Where the vec4 `k` of a row is held in a tile that is one array; rows are mixed, so that threads that write side by side hit different banks.
fn held_at(k: u32, row: u32, rows: u32) -> u32 { return k * rows + (row ^ (2u * k)); }

// Column and row of a thread: 8 × 4 threads are neighbours.
fn thread_at(lane: u32) -> vec2u {
  let block = lane / 32u;
  return vec2u(lane % 8u + block % (ACROSS / 8u) * 8u, lane / 8u % 4u + block / (ACROSS / 8u) * 4u);
}

// sums[j][i] += a_i · b_j, in the order of k. a[k][i] holds four rows by columns of K, b[j][k] four columns as they lie.
fn multiply(sums: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(
    accumulate(sums[0], a, b[0]),
    accumulate(sums[1], a, b[1]),
    accumulate(sums[2], a, b[2]),
    accumulate(sums[3], a, b[3]),
  );
}

fn accumulate(sums: vec4f, a: mat4x4f, b: vec4f) -> vec4f {
  return fma(a[3], b.wwww, fma(a[2], b.zzzz, fma(a[1], b.yyyy, fma(a[0], b.xxxx, sums))));
}
