// out[t, h] = Σ_p softmax_p(D^(-1/2) q[t, h] · keys[p, g]) values[p, g], g = h's kv head, p ≤ position of t in its slot: as
// softmax_attention.wgsl does, for many rows (Dao et al. 2022).
// One workgroup of LANES per span of rows and QUERIES heads that share a kv head, so that a key that is read serves all of them; 64
// positions at a time (lib/attention_tile.wgsl), online softmax. Spans that see the most come first, so that none of them is left over.
// A cache in several blocks of pages takes one dispatch each, in rounds: each goes on with the span's pages, in their order, as long as they lie in
// its block; `progress`, `carry` and the unscaled sums in out go from one to the next. So results do not depend on where pages lie.
// PAGE: positions of a page, a multiple of 64; QUADS: vec4s of a cached row, zeros after the head's.

const_assert TILE_ROWS == QUERIES * SPAN;

const LOWEST = -3.4e38;
const LOG2_E = 1.44269504;

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
  begun: u32, // whether a dispatch went before
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(4) var<storage, read> values: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [T, heads, 16], largest score, and the sums of exponentials of 16 threads
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>; // [T, heads, D]
@group(0) @binding(7) var<storage, read_write> progress: array<u32>; // [T, heads], pages that a span is through with, at its first row and head

var<workgroup> done_pages: u32;
var<private> span: Span;
var<private> first_head: u32;
var<private> cached: u32; // cached row of the first position of 64
var<private> count: u32; // positions of the 64 that some row sees

// Row of the span that a row of the tile is, or stands in for; the tile's rows go through the span for each head.
fn span_row(row: u32) -> u32 { return min(row % SPAN, span.rows - 1u); }

// Where a row and its head are, [T, heads].
fn place(row: u32) -> u32 { return (span.first + span_row(row)) * params.heads + first_head + row / SPAN; }

// Powers of two are the device's own.
fn query_at(row: u32, channel4: u32) -> vec4f {
  let at = (span.first + span_row(row)) * (params.heads + 2u * params.kv_heads) + first_head + row / SPAN;
  return select(vec4f(), qkv[at * CHANNELS4 + channel4] * (LOG2_E / sqrt(f32(SIZE))), channel4 < CHANNELS4);
}

fn key_at(row: u32, channel4: u32) -> vec4f {
  return select(vec4f(), quad_of(keys[(cached + min(row, count - 1u)) * QUADS + channel4]), channel4 < CHANNELS4);
}

fn value_at(row: u32, channel4: u32) -> vec4f {
  return quad_of(values[(cached + min(row, count - 1u)) * QUADS + min(channel4, CHANNELS4 - 1u)]);
}

// Each thread's four rows to all threads that share them, in what no query is held in.
fn exchange(at: vec2u, own0: vec4f, own1: vec4f) {
  left[2][at.x / 4u][at.y][at.x % 4u] = own0;
  left[2][4u + at.x / 4u][at.y][at.x % 4u] = own1;
  workgroupBarrier();
}

fn largest_of(i: u32, y: u32) -> vec4f {
  return max(max(left[2][i][y][0], left[2][i][y][1]), max(left[2][i][y][2], left[2][i][y][3]));
}

fn largest_of_all(i: u32, y: u32) -> vec4f {
  return max(max(largest_of(i, y), largest_of(i + 1u, y)), max(largest_of(i + 2u, y), largest_of(i + 3u, y)));
}

fn sum_of(i: u32, y: u32) -> vec4f {
  return left[2][i][y][0] + left[2][i][y][1] + left[2][i][y][2] + left[2][i][y][3];
}

fn sum_of_all(i: u32, y: u32) -> vec4f { return sum_of(i, y) + sum_of(i + 1u, y) + sum_of(i + 2u, y) + sum_of(i + 3u, y); }

fn rescaled(sums: mat4x4f, factor: vec4f) -> mat4x4f {
  return mat4x4f(sums[0] * factor.x, sums[1] * factor.y, sums[2] * factor.z, sums[3] * factor.w);
}

fn largest_in(scores: vec4f) -> f32 { return max(max(scores.x, scores.y), max(scores.z, scores.w)); }

fn largest_of_rows(scores: mat4x4f) -> vec4f {
  return vec4f(largest_in(scores[0]), largest_in(scores[1]), largest_in(scores[2]), largest_in(scores[3]));
}

fn weights_of(scores: mat4x4f, largest: vec4f) -> mat4x4f {
  return mat4x4f(
    exp2(scores[0] - largest.x),
    exp2(scores[1] - largest.y),
    exp2(scores[2] - largest.z),
    exp2(scores[3] - largest.w),
  );
}

fn totals_of(weights: mat4x4f) -> vec4f {
  let by_key = transpose(weights);
  return by_key[0] + by_key[1] + by_key[2] + by_key[3];
}

// Without those of positions behind the row's own.
fn masked(scores: mat4x4f, position: u32, last: vec4u) -> mat4x4f {
  let positions = position + vec4u(0u, 1u, 2u, 3u);
  return mat4x4f(
    select(vec4f(LOWEST), scores[0], positions <= vec4u(last.x)),
    select(vec4f(LOWEST), scores[1], positions <= vec4u(last.y)),
    select(vec4f(LOWEST), scores[2], positions <= vec4u(last.z)),
    select(vec4f(LOWEST), scores[3], positions <= vec4u(last.w)),
  );
}

fn sums_at(row: u32, column: u32) -> vec4f { return out[place(row) * CHANNELS4 + min(column, CHANNELS4 - 1u)]; }

fn sums_of(row: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    sums_at(row, column),
    sums_at(row + DOWN, column),
    sums_at(row + 2u * DOWN, column),
    sums_at(row + 3u * DOWN, column),
  );
}

fn write(row: u32, column: u32, value: vec4f) {
  if (row % SPAN >= span.rows || column >= CHANNELS4) { return; }
  out[place(row) * CHANNELS4 + column] = value;
}

fn write_sums(row: u32, column: u32, sums: mat4x4f) {
  write(row, column, sums[0]);
  write(row + DOWN, column, sums[1]);
  write(row + 2u * DOWN, column, sums[2]);
  write(row + 3u * DOWN, column, sums[3]);
}

// Largest scores and totals of four rows. Totals stay those of each thread: added up before the end, they would round another way.
fn carried(row: u32, x: u32) -> mat4x2f {
  return mat4x2f(
    carry[place(row) * 16u + x],
    carry[place(row + DOWN) * 16u + x],
    carry[place(row + 2u * DOWN) * 16u + x],
    carry[place(row + 3u * DOWN) * 16u + x],
  );
}

fn pass_on(row: u32, x: u32, largest: f32, total: f32) {
  if (row % SPAN < span.rows) { carry[place(row) * 16u + x] = vec2f(largest, total); }
}

fn pass_on_rows(row: u32, x: u32, largest: vec4f, total: vec4f) {
  pass_on(row, x, largest.x, total.x);
  pass_on(row + DOWN, x, largest.y, total.y);
  pass_on(row + 2u * DOWN, x, largest.z, total.z);
  pass_on(row + 3u * DOWN, x, largest.w, total.w);
}

// Positions of four rows.
fn positions_of(row: u32) -> vec4u {
  return span.position + vec4u(span_row(row), span_row(row + DOWN), span_row(row + 2u * DOWN), span_row(row + 3u * DOWN));
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let groups = params.heads / QUERIES;
  span = span_at(grid.x * grid.y / groups - 1u - flat(group, grid) / groups);
  first_head = flat(group, grid) % groups * QUERIES;
  if (span.rows == 0u) { return; }
  let at = thread_at(lane);
  let row0 = at.y;
  let row1 = at.y + 4u * DOWN;
  let progress_at = span.first * params.heads + first_head;
  if (lane == 0u) { done_pages = select(0u, progress[progress_at], params.begun > 0u); }
  let begin = workgroupUniformLoad(&done_pages);
  let pages = step_row(span.first).pages;
  let end = span.position + span.rows;
  let all = (end + PAGE - 1u) / PAGE;
  var largest0 = vec4f(LOWEST);
  var largest1 = vec4f(LOWEST);
  var total0 = vec4f(); // of this thread's positions
  var total1 = vec4f();
  if (begin > 0u && begin < all) {
    let before0 = transpose(carried(row0, at.x));
    let before1 = transpose(carried(row1, at.x));
    largest0 = before0[0];
    total0 = before0[1];
    largest1 = before1[0];
    total1 = before1[1];
    sums00 = sums_of(row0, at.x);
    sums10 = sums_of(row1, at.x);
    if (CHANNELS4 > 16u) {
      sums01 = sums_of(row0, at.x + 16u);
      sums11 = sums_of(row1, at.x + 16u);
    }
  }
  let last0 = positions_of(row0);
  let last1 = positions_of(row1);
  var through = begin;
  for (; through < all; through++) {
    let page = step_page(pages, through) - params.first; // wraps around if it is in a block before
    if (page >= params.count) { break; }
    let first = (page * params.kv_heads + first_head / (params.heads / params.kv_heads)) * PAGE;
    for (var block = through * PAGE; block < min(end, (through + 1u) * PAGE); block += TILE_KEYS) {
      cached = first + block % PAGE;
      count = min(TILE_KEYS, end - block);
      score_keys(lane, at);
      if (block + TILE_KEYS > span.position + 1u) {
        scores0 = masked(scores0, block + 4u * at.x, last0);
        scores1 = masked(scores1, block + 4u * at.x, last1);
      }
      exchange(at, largest_of_rows(scores0), largest_of_rows(scores1));
      let before0 = largest0;
      let before1 = largest1;
      largest0 = max(before0, largest_of_all(0u, at.y));
      largest1 = max(before1, largest_of_all(4u, at.y));
      workgroupBarrier();
      let weights0 = weights_of(scores0, largest0);
      let weights1 = weights_of(scores1, largest1);
      hold_factors(at, weights0, weights1);
      let factor0 = exp2(before0 - largest0);
      let factor1 = exp2(before1 - largest1);
      total0 = total0 * factor0 + totals_of(weights0);
      total1 = total1 * factor1 + totals_of(weights1);
      sums00 = rescaled(sums00, factor0);
      sums01 = rescaled(sums01, factor0);
      sums10 = rescaled(sums10, factor1);
      sums11 = rescaled(sums11, factor1);
      weigh_values(lane, at, TILE_KEYS);
    }
  }
  if (lane == 0u) { progress[progress_at] = through; }
  if (through == begin) { return; }
  if (through == all) {
    workgroupBarrier(); // factors may still be being read
    exchange(at, total0, total1);
    let scale0 = 1.0 / sum_of_all(0u, at.y);
    let scale1 = 1.0 / sum_of_all(4u, at.y);
    sums00 = rescaled(sums00, scale0);
    sums01 = rescaled(sums01, scale0);
    sums10 = rescaled(sums10, scale1);
    sums11 = rescaled(sums11, scale1);
  } else {
    pass_on_rows(row0, at.x, largest0, total0);
    pass_on_rows(row1, at.x, largest1, total1);
  }
  write_sums(row0, at.x, sums00);
  write_sums(row1, at.x, sums10);
  if (CHANNELS4 > 16u) {
    write_sums(row0, at.x + 16u, sums01);
    write_sums(row1, at.x + 16u, sums11);
  }
}
