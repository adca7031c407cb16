// out[t, h] = Σ_p softmax_p(D^(-1/2) q[t, h] · keys[p, g]) values[p, g], g = h's kv head, p ≤ position of t in its slot: as
// softmax_attention.wgsl does, for many rows (Dao et al. 2022).
// One workgroup of LANES per span of 64 rows and head, 64 positions at a time (lib/attention_tile.wgsl), online softmax.
// A cache in several blocks of pages takes one dispatch each, in rounds: each goes on with the span's pages, in their order, as long as they lie in
// its block; `progress`, `carry` and the unscaled sums in out go from one to the next. So results do not depend on where pages lie.
// FIRST: nothing was done before. PAGE: positions of a page, a multiple of 64; QUADS: vec4s of a cached row, zeros after the head's.

const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(4) var<storage, read> values: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [T, heads, 16], largest score, and the sums of exponentials of 16 threads
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>; // [T, heads, D]
@group(0) @binding(7) var<storage, read_write> progress: array<u32>; // [T, heads], pages that a span is through with, at its first row

var<workgroup> done_pages: u32;
var<workgroup> exchanged: array<vec4f, LANES>; // of each thread's four rows
var<private> span: Span;
var<private> head: u32;
var<private> cached: u32; // cached row of the first position of 64
var<private> count: u32; // positions of the 64 that some row sees

fn query_at(row: u32, channel4: u32) -> vec4f {
  let t = span.first + min(row, span.rows - 1u);
  let value = qkv[(t * (params.heads + 2u * params.kv_heads) + head) * CHANNELS4 + channel4];
  return select(vec4f(), value / sqrt(f32(SIZE)), channel4 < CHANNELS4);
}

fn key_at(row: u32, channel4: u32) -> vec4f {
  return select(vec4f(), quad_of(keys[(cached + min(row, count - 1u)) * QUADS + channel4]), channel4 < CHANNELS4);
}

fn value_at(row: u32, channel4: u32) -> vec4f {
  return quad_of(values[(cached + min(row, count - 1u)) * QUADS + channel4]);
}

fn largest_of_row(at: vec2u, own: vec4f) -> vec4f {
  exchanged[at.y * 16u + at.x] = own;
  workgroupBarrier();
  var largest = exchanged[at.y * 16u];
  for (var x = 1u; x < 16u; x++) { largest = max(largest, exchanged[at.y * 16u + x]); }
  return largest;
}

fn sum_of_row(at: vec2u, own: vec4f) -> vec4f {
  workgroupBarrier();
  exchanged[at.y * 16u + at.x] = own;
  workgroupBarrier();
  var sum = exchanged[at.y * 16u];
  for (var x = 1u; x < 16u; x++) { sum += exchanged[at.y * 16u + x]; }
  return sum;
}

fn rescaled(sums: mat4x4f, factor: vec4f) -> mat4x4f {
  return mat4x4f(sums[0] * factor.x, sums[1] * factor.y, sums[2] * factor.z, sums[3] * factor.w);
}

// exp(score - largest), or 0 for a position behind the row's own.
fn weights_of(scores: vec4f, position: u32, last: vec4u, largest: vec4f) -> vec4f {
  return select(vec4f(), exp(scores - largest), vec4u(position) <= last);
}

fn masked(scores: vec4f, position: u32, last: vec4u) -> vec4f {
  return select(vec4f(LOWEST), scores, vec4u(position) <= last);
}

fn row_sums(row: u32, column: u32) -> vec4f {
  if (row >= span.rows || column >= CHANNELS4) { return vec4f(); }
  return out[((span.first + row) * params.heads + head) * CHANNELS4 + column];
}

// Sums stay those of each thread: added up before the end, they would round another way.
fn carried(row: u32, x: u32) -> vec2f {
  return carry[((span.first + min(row, span.rows - 1u)) * params.heads + head) * 16u + x];
}

fn write(row: u32, column: u32, value: vec4f) {
  if (row >= span.rows || column >= CHANNELS4) { return; }
  out[((span.first + row) * params.heads + head) * CHANNELS4 + column] = value;
}

fn write_sums(y: u32, column: u32, sums: mat4x4f) {
  write(y, column, sums[0]);
  write(y + 16u, column, sums[1]);
  write(y + 32u, column, sums[2]);
  write(y + 48u, column, sums[3]);
}

fn pass_on(row: u32, x: u32, largest: f32, total: f32) {
  if (row < span.rows) { carry[((span.first + row) * params.heads + head) * 16u + x] = vec2f(largest, total); }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  span = span_at(flat(group, grid) / params.heads);
  head = flat(group, grid) % params.heads;
  if (span.rows == 0u) { return; }
  let at = thread_at(lane);
  let rows = vec4u(at.y, at.y + 16u, at.y + 32u, at.y + 48u);
  let progress_at = span.first * params.heads + head;
  if (lane == 0u) { done_pages = select(progress[progress_at], 0u, FIRST); }
  let begin = workgroupUniformLoad(&done_pages);
  let pages = step_row(span.first).pages;
  let end = span.position + span.rows;
  let all = (end + PAGE - 1u) / PAGE;
  var largest = vec4f(LOWEST);
  var total = vec4f(); // of this thread's positions
  if (begin > 0u && begin < all) {
    let before = mat4x2f(carried(rows.x, at.x), carried(rows.y, at.x), carried(rows.z, at.x), carried(rows.w, at.x));
    largest = vec4f(before[0].x, before[1].x, before[2].x, before[3].x);
    total = vec4f(before[0].y, before[1].y, before[2].y, before[3].y);
    sums0 = mat4x4f(row_sums(rows.x, at.x), row_sums(rows.y, at.x), row_sums(rows.z, at.x), row_sums(rows.w, at.x));
    let c = at.x + 16u;
    if (CHANNELS4 > 16u) { sums1 = mat4x4f(row_sums(rows.x, c), row_sums(rows.y, c), row_sums(rows.z, c), row_sums(rows.w, c)); }
  }
  let last = vec4u(span.position) + rows;
  var through = begin;
  for (; through < all; through++) {
    let page = step_page(pages, through) - params.first; // wraps around if it is in a block before
    if (page >= params.count) { break; }
    let first = (page * params.kv_heads + head / (params.heads / params.kv_heads)) * PAGE;
    for (var block = through * PAGE; block < min(end, (through + 1u) * PAGE); block += 64u) {
      cached = first + block % PAGE;
      count = min(64u, end - block);
      var scores = score_keys(lane, at);
      let p = block + 4u * at.x;
      scores = mat4x4f(
        masked(scores[0], p, last),
        masked(scores[1], p + 1u, last),
        masked(scores[2], p + 2u, last),
        masked(scores[3], p + 3u, last),
      );
      let own = max(max(scores[0], scores[1]), max(scores[2], scores[3]));
      let before = largest;
      largest = max(before, largest_of_row(at, own));
      // Past the end the last position stands in again.
      let past = min(last, vec4u(end - 1u));
      let weights = mat4x4f(
        weights_of(scores[0], p, past, largest),
        weights_of(scores[1], p + 1u, past, largest),
        weights_of(scores[2], p + 2u, past, largest),
        weights_of(scores[3], p + 3u, past, largest),
      );
      hold_factors(at, weights);
      let factor = exp(before - largest);
      total = total * factor + (weights[0] + weights[1] + weights[2] + weights[3]);
      sums0 = rescaled(sums0, factor);
      sums1 = rescaled(sums1, factor);
      weigh_values(lane, at, 64u);
    }
  }
  if (lane == 0u) { progress[progress_at] = through; }
  if (through == begin) { return; }
  if (through == all) {
    let whole = sum_of_row(at, total);
    sums0 = rescaled(sums0, 1.0 / whole);
    sums1 = rescaled(sums1, 1.0 / whole);
  } else {
    pass_on(rows.x, at.x, largest.x, total.x);
    pass_on(rows.y, at.x, largest.y, total.y);
    pass_on(rows.z, at.x, largest.z, total.z);
    pass_on(rows.w, at.x, largest.w, total.w);
  }
  write_sums(at.y, at.x, sums0);
  if (CHANNELS4 > 16u) { write_sums(at.y, at.x + 16u, sums1); }
}
