// Attention of SPAN = 64 rows by workgroups of 16 × 16 threads (lib/register_tile.wgsl): scores of 64 keys at a time, then
// weighted sums of their values. A thread has rows y, y + 16, …; keys 4x … 4x + 3; channels 4x … and 4 (x + 16) … of the sums.
// SIZE: channels of a head, D, at most 128. The kernel says where rows are: query_at, key_at, value_at.

const_assert SPAN == 64u && ACROSS == 16u && DOWN == 16u && SIZE <= 128u;

const CHANNELS4 = SIZE / 4u;
const SLAB = 16u; // keys whose values are held at once

var<workgroup> slab: array<vec4f, SLAB * 32u>; // queries and keys [64, DEPTH] each, or values [SLAB, CHANNELS4]
var<workgroup> factors: array<vec4f, SPAN * 16u>; // [row, keys / 4]

var<private> sums0: mat4x4f; // a column for each row
var<private> sums1: mat4x4f;

fn query_rows(k: u32, y: u32) -> mat4x4f {
  return transpose(mat4x4f(
    slab[held_at(k, y, SPAN)],
    slab[held_at(k, y + 16u, SPAN)],
    slab[held_at(k, y + 32u, SPAN)],
    slab[held_at(k, y + 48u, SPAN)],
  ));
}

fn key_columns(k: u32, x: u32) -> mat4x4f {
  return mat4x4f(
    slab[256u + held_at(k, x, SPAN)],
    slab[256u + held_at(k, x + 16u, SPAN)],
    slab[256u + held_at(k, x + 32u, SPAN)],
    slab[256u + held_at(k, x + 48u, SPAN)],
  );
}

// q · k of a thread's rows and keys, a column for each key.
fn score_keys(lane: u32, at: vec2u) -> mat4x4f {
  let part = lane % DEPTH;
  let row = lane / DEPTH;
  let key = row % 4u * 16u + row / 4u; // so that a thread's keys are neighbours
  var scores = mat4x4f();
  var q = query_at(row, part);
  var k = key_at(row, part);
  for (var base = 0u; base < CHANNELS4; base += DEPTH) {
    workgroupBarrier(); // what was held before may still be being read
    slab[held_at(part, row, SPAN)] = q;
    slab[256u + held_at(part, key, SPAN)] = k;
    workgroupBarrier();
    q = query_at(row, base + DEPTH + part);
    k = key_at(row, base + DEPTH + part);
    scores = multiply(scores, query_rows(0u, at.y), key_columns(0u, at.x));
    scores = multiply(scores, query_rows(1u, at.y), key_columns(1u, at.x));
    scores = multiply(scores, query_rows(2u, at.y), key_columns(2u, at.x));
    scores = multiply(scores, query_rows(3u, at.y), key_columns(3u, at.x));
  }
  return scores;
}

// Keeps the factors of a thread's rows and keys, a column for each key.
fn hold_factors(at: vec2u, by_key: mat4x4f) {
  let by_row = transpose(by_key);
  factors[at.y * 16u + at.x] = by_row[0];
  factors[(at.y + 16u) * 16u + at.x] = by_row[1];
  factors[(at.y + 32u) * 16u + at.x] = by_row[2];
  factors[(at.y + 48u) * 16u + at.x] = by_row[3];
}

fn factors_of(y: u32, k: u32) -> mat4x4f {
  return mat4x4f(
    factors[y * 16u + k],
    factors[(y + 16u) * 16u + k],
    factors[(y + 32u) * 16u + k],
    factors[(y + 48u) * 16u + k],
  );
}

fn values_of(k: u32, column: u32) -> mat4x4f {
  let i = 4u * k * CHANNELS4 + column;
  return mat4x4f(slab[i], slab[i + CHANNELS4], slab[i + 2u * CHANNELS4], slab[i + 3u * CHANNELS4]);
}

fn add_values(k: u32, held: u32, at: vec2u) {
  let f = factors_of(at.y, held);
  sums0 = multiply(sums0, values_of(k, at.x), f);
  if (CHANNELS4 > 16u) { sums1 = multiply(sums1, values_of(k, at.x + 16u), f); }
}

// Adds to the sums what the factors make of the values of `count` keys.
fn weigh_values(lane: u32, at: vec2u, count: u32) {
  for (var base = 0u; base < count; base += SLAB) {
    workgroupBarrier(); // what was held before may still be being read
    for (var i = lane; i < SLAB * CHANNELS4; i += LANES) { slab[i] = value_at(base + i / CHANNELS4, i % CHANNELS4); }
    workgroupBarrier();
    let held = base / 4u;
    add_values(0u, held, at);
    add_values(1u, held + 1u, at);
    add_values(2u, held + 2u, at);
    add_values(3u, held + 3u, at);
  }
}
