// Softmax attention of few rows over the positions of one unit: Σ_p exp(s_p - m) values[p, g], with m and the sum of the weights beside
// it, s_p = D^(-1/2) q[t, h] · keys[p, g], g = h's kv head, p ≤ position of t (spec c.8). merge_attention.wgsl makes the whole of them.
// One workgroup of LANES per unit (lib/units.wgsl), row and QUERIES heads, 1 to 4, that share a kv head, so that keys and values are read
// once for all of them; nothing is done for units that lie in other blocks of pages than the one that is bound.
// TILE positions at a time, online softmax: first KEY_LANES lanes a key, 16 bytes a lane at a time, then VALUE_LANES lanes a value.
// Keys, values and queries are as they lie in the cache and behind append.wgsl (lib/cached_rows.wgsl), or made ready (lib/own_row.wgsl).
// SIZE: channels of a head, D; CHUNKS: 16 bytes of a cached row; KEY_LANES, VALUE_LANES: powers of two, VALUE_LANES ≥ CHUNKS.

const QUADS = CHUNKS * QUADS_OF_CHUNK; // of a row, the zeros at its end included
const KEYS = LANES / KEY_LANES;
const TILE = 4u * KEYS;
const SHARES = LANES / VALUE_LANES;
const LOWEST = -3.4e38;

// Chunks of a key whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const KEY_TURNS = select(select(1u, 2u, CHUNKS % (2u * KEY_LANES) == 0u), 4u, CHUNKS % (4u * KEY_LANES) == 0u);

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
  first_row: u32, // of those that go together
  rows: u32, // how many these are at most [B]
  units: u32, // the most units of a row [U]
  half: u32, // for a row that is made ready here (lib/own_row.wgsl): pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read_write> carry: array<vec2f>; // [B, U, heads], m and the sum of the weights
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>; // [B, U, heads, D]

// Of four rows.
struct Chunks {
  first: chunk,
  second: chunk,
  third: chunk,
  fourth: chunk,
}

// Of the scores of four positions, for each head.
var<private> scores: mat4x4f;

var<workgroup> queries: array<vec4f, QUERIES * QUADS>;
var<workgroup> products: array<vec4f, 4u * LANES>; // [TILE, KEY_LANES], of QUERIES heads; in the end [4, LANES]
var<workgroup> weights: array<vec4f, TILE>;

// Σ q · k over one chunk, for each head.
fn product(c: u32, key: chunk) -> vec4f {
  var all = vec4f(product_of(0u, c, key), 0.0, 0.0, 0.0);
  if (QUERIES > 1u) { all.y = product_of(1u, c, key); }
  if (QUERIES > 2u) { all.z = product_of(2u, c, key); }
  if (QUERIES > 3u) { all.w = product_of(3u, c, key); }
  return all;
}

fn product_of(query: u32, c: u32, key: chunk) -> f32 {
  let q = query * QUADS + c * QUADS_OF_CHUNK;
  var sum = dot(queries[q], first_quad(key));
  if (QUADS_OF_CHUNK > 1u) { sum += dot(queries[q + 1u], second_quad(key)); }
  return sum;
}

fn keys_at(rows: vec4u, c: u32) -> Chunks {
  return Chunks(key_at(rows.x, c), key_at(rows.y, c), key_at(rows.z, c), key_at(rows.w, c));
}

fn add_scores(c: u32, four: Chunks) {
  scores += mat4x4f(product(c, four.first), product(c, four.second), product(c, four.third), product(c, four.fourth));
}

// What every lane of the teams adds to the scores of the tile's positions; past `last` that one stands in.
fn multiply_keys(lane: u32, tile: u32, last: u32) {
  let part = lane % KEY_LANES;
  let first = lane / KEY_LANES;
  let rows = min(tile + first + KEYS * vec4u(0u, 1u, 2u, 3u), vec4u(last));
  scores = mat4x4f();
  for (var c = part; c < CHUNKS; c += KEY_TURNS * KEY_LANES) {
    let four0 = keys_at(rows, c);
    var four1 = four0;
    var four2 = four0;
    var four3 = four0;
    if (KEY_TURNS > 1u) { four1 = keys_at(rows, c + KEY_LANES); }
    if (KEY_TURNS > 2u) {
      four2 = keys_at(rows, c + 2u * KEY_LANES);
      four3 = keys_at(rows, c + 3u * KEY_LANES);
    }
    add_scores(c, four0);
    if (KEY_TURNS > 1u) { add_scores(c + KEY_LANES, four1); }
    if (KEY_TURNS > 2u) {
      add_scores(c + 2u * KEY_LANES, four2);
      add_scores(c + 3u * KEY_LANES, four3);
    }
  }
  products[first * KEY_LANES + part] = scores[0];
  products[(first + KEYS) * KEY_LANES + part] = scores[1];
  products[(first + 2u * KEYS) * KEY_LANES + part] = scores[2];
  products[(first + 3u * KEYS) * KEY_LANES + part] = scores[3];
}

// One channel's chunks of a value and those SHARES apart behind it; past `last` that one stands in.
fn values_at(row: u32, last: u32, channel: u32) -> Chunks {
  let rows = min(row + SHARES * vec4u(0u, 1u, 2u, 3u), vec4u(last));
  let c = min(channel, CHUNKS - 1u);
  return Chunks(value_at(rows.x, c), value_at(rows.y, c), value_at(rows.z, c), value_at(rows.w, c));
}

fn score(position: u32) -> vec4f {
  var sum = products[position * KEY_LANES];
  for (var part = 1u; part < KEY_LANES; part++) { sum += products[position * KEY_LANES + part]; }
  return sum;
}

// Adds weight × value to the sums, a column for each head.
fn add(sums4: mat4x4f, value: vec4f, weight: vec4f) -> mat4x4f {
  let first = sums4[0] + weight.x * value;
  if (QUERIES == 1u) { return mat4x4f(first, sums4[1], sums4[2], sums4[3]); }
  let second = sums4[1] + weight.y * value;
  if (QUERIES == 2u) { return mat4x4f(first, second, sums4[2], sums4[3]); }
  let third = sums4[2] + weight.z * value;
  if (QUERIES == 3u) { return mat4x4f(first, second, third, sums4[3]); }
  return mat4x4f(first, second, third, sums4[3] + weight.w * value);
}

fn scaled(sums4: mat4x4f, factor: vec4f) -> mat4x4f {
  return mat4x4f(sums4[0] * factor.x, sums4[1] * factor.y, sums4[2] * factor.z, sums4[3] * factor.w);
}

// Adds up one of the sums' two halves over all lanes that have the same channels, and writes it.
fn write_half(lane: u32, half: u32, sums4: mat4x4f, to: u32) {
  workgroupBarrier();
  products[lane] = sums4[0];
  products[LANES + lane] = sums4[1];
  products[2u * LANES + lane] = sums4[2];
  products[3u * LANES + lane] = sums4[3];
  workgroupBarrier();
  for (var i = lane; i < QUERIES * CHUNKS; i += LANES) {
    let query = i / CHUNKS;
    let channel = i % CHUNKS * QUADS_OF_CHUNK + half;
    var sum = vec4f();
    for (var other = 0u; other < SHARES; other++) { sum += products[query * LANES + other * VALUE_LANES + i % CHUNKS]; }
    if (channel < CHANNELS4) { sums[(to + query) * CHANNELS4 + channel] = sum; }
  }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let rows = min(params.rows, step_rows() - params.first_row);
  let sets = params.heads / QUERIES;
  let head = flat(group, grid) % sets * QUERIES;
  let row = flat(group, grid) / sets % rows;
  let unit = flat(group, grid) / sets / rows;
  let at = step_row(params.first_row + row);
  let size = unit_size(at.position + 1u);
  let begin = unit * size;
  if (begin > at.position) { return; }
  let page = step_page(at.pages, begin / PAGE) - params.first; // wraps around if it is in a block before
  if (page >= params.count) { return; }

  let kv_head = head / (params.heads / params.kv_heads);
  let first = (page * params.kv_heads + kv_head) * PAGE + begin % PAGE; // cached row
  let last = first + min(size - 1u, at.position - begin);
  let is_own = at.position - begin < size;
  load_queries(lane, params.first_row + row, head, kv_head, at, last, is_own);

  let channel = lane.index % VALUE_LANES;
  let wide = lane.index / VALUE_LANES;
  var largest = vec4f(LOWEST);
  var total = vec4f(); // of this lane's positions
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  for (var tile = first; tile <= last; tile += TILE) {
    var next = values_at(tile + wide, last, channel); // while scores are waited for
    multiply_keys(lane.index, tile, last);
    workgroupBarrier();
    var own = vec4f(LOWEST);
    for (var i = lane.index; i < min(TILE, last + 1u - tile); i += LANES) {
      weights[i] = score(i);
      own = max(own, weights[i]);
    }
    let before = largest;
    largest = max(before, max_lanes4(lane, own));
    let fade = exp(before - largest);
    total *= fade;
    for (var i = lane.index; i < TILE; i += LANES) {
      let weight = select(vec4f(), exp(weights[i] - largest), tile + i <= last);
      weights[i] = weight;
      total += weight;
    }
    workgroupBarrier();
    sum0 = scaled(sum0, fade);
    sum1 = scaled(sum1, fade);
    if (channel < CHUNKS) {
      for (var i = wide; i < min(TILE, last + 1u - tile); i += 4u * SHARES) {
        let four = next;
        next = values_at(tile + i + 4u * SHARES, last, channel);
        sum0 = add(sum0, first_quad(four.first), weights[i]);
        sum0 = add(sum0, first_quad(four.second), weights[i + SHARES]);
        sum0 = add(sum0, first_quad(four.third), weights[i + 2u * SHARES]);
        sum0 = add(sum0, first_quad(four.fourth), weights[i + 3u * SHARES]);
        if (QUADS_OF_CHUNK > 1u) {
          sum1 = add(sum1, second_quad(four.first), weights[i]);
          sum1 = add(sum1, second_quad(four.second), weights[i + SHARES]);
          sum1 = add(sum1, second_quad(four.third), weights[i + 2u * SHARES]);
          sum1 = add(sum1, second_quad(four.fourth), weights[i + 3u * SHARES]);
        }
      }
    }
  }
  let whole = sum_lanes4(lane, total);
  let to = (row * params.units + unit) * params.heads + head;
  write_half(lane.index, 0u, sum0, to);
  if (QUADS_OF_CHUNK > 1u) { write_half(lane.index, 1u, sum1, to); }
  if (lane.index == 0u) {
    carry[to] = vec2f(largest.x, whole.x);
    if (QUERIES > 1u) { carry[to + 1u] = vec2f(largest.y, whole.y); }
    if (QUERIES > 2u) { carry[to + 2u] = vec2f(largest.z, whole.z); }
    if (QUERIES > 3u) { carry[to + 3u] = vec2f(largest.w, whole.w); }
  }
}
