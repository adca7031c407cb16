// Softmax attention of few rows over the positions of one unit: Σ_p exp(s_p - m) values[p, g], with m and the sum of the weights beside
// it, s_p = D^(-1/2) q[t, h] · keys[p, g], g = h's kv head, p ≤ position of t (spec c.8). merge_attention.wgsl makes the whole of them.
// One workgroup of LANES per unit (lib/units.wgsl), row and QUERIES heads, 1 to 4, that share a kv head, so that keys and values are read
// once for all of them; nothing is done for units that lie in blocks of pages that are not bound.
// TILE positions at a time, online softmax: first KEY_LANES lanes a key, then VALUE_LANES lanes a value, 16 bytes each. A lane reads two chunks
// of four keys and one chunk of eight values for a tile: values while scores are made, and then the next tile's keys.
// Blocks of pages are bound by lib/one_block.wgsl or lib/eight_blocks.wgsl; keys, values and queries are as they lie in the cache and behind
// append.wgsl (lib/cached_rows.wgsl), or made ready (lib/own_row.wgsl).
// SIZE: channels of a head, D; CHUNKS: 16 bytes of a cached row; VALUE_LANES: a power of two, at least 2 and CHUNKS.

const QUADS = CHUNKS * QUADS_OF_CHUNK; // of a row, the zeros at its end included
const KEY_LANES = VALUE_LANES / 2u;
const QUERY_QUADS = VALUE_LANES * QUADS_OF_CHUNK; // with zeros for lanes that are left over
const KEYS = LANES / KEY_LANES;
const SHARES = LANES / VALUE_LANES;
const TILE = 4u * KEYS; // 8 SHARES
const PRODUCTS = TILE + 1u; // of one key lane: neighbours' lie in other banks of the memory
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the blocks that are bound
  count: u32, // pages of them
  first_row: u32, // of those that go together
  rows: u32, // how many these are at most [B]
  units: u32, // the most units of a row [U]
  half: u32, // for a row that is made ready here (lib/own_row.wgsl): pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
  start1: u32, // pages before the second block, the third, …
  start2: u32,
  start3: u32,
  start4: u32,
  start5: u32,
  start6: u32,
  start7: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read_write> carry: array<vec2f>; // [B, U, heads], m and the sum of the weights
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>; // [B, U, heads, D]

struct Chunks {
  first: chunk,
  second: chunk,
  third: chunk,
  fourth: chunk,
}

// What a lane reads at once.
struct Eight {
  low: Chunks,
  high: Chunks,
}

// Weighted sums of a lane's first four channels, a column for each head, and of its other four.
var<private> sums_low: mat4x4f;
var<private> sums_high: mat4x4f;

var<workgroup> queries: array<vec4f, QUERIES * QUERY_QUADS>;
var<workgroup> weights: array<vec4f, TILE>;

// Heads that are made ready (lib/ready_heads.wgsl), then products [KEY_LANES, TILE] and in the end sums [4, LANES], of QUERIES heads. In one
// place, as the memory that workgroups take limits how many of them run side by side.
var<workgroup> held: array<vec4f, max(KEY_LANES * PRODUCTS, HEADS * QUADS)>;

// Σ q · k over one chunk, for each head.
fn product(c: u32, key: chunk) -> vec4f {
  var all = vec4f(product_of(0u, c, key), 0.0, 0.0, 0.0);
  if (QUERIES > 1u) { all.y = product_of(1u, c, key); }
  if (QUERIES > 2u) { all.z = product_of(2u, c, key); }
  if (QUERIES > 3u) { all.w = product_of(3u, c, key); }
  return all;
}

fn product_of(query: u32, c: u32, key: chunk) -> f32 {
  let q = query * QUERY_QUADS + c * QUADS_OF_CHUNK;
  var sum = dot(queries[q], first_quad(key));
  if (QUADS_OF_CHUNK > 1u) { sum += dot(queries[q + 1u], second_quad(key)); }
  return sum;
}

// The same for a chunk of four keys.
fn products(c: u32, four: Chunks) -> mat4x4f {
  return mat4x4f(product(c, four.first), product(c, four.second), product(c, four.third), product(c, four.fourth));
}

// Two chunks of four keys; past `last` that one stands in.
fn keys_of(row: u32, last: u32, c: u32) -> Eight {
  let rows = min(row + KEYS * vec4u(0u, 1u, 2u, 3u), vec4u(last)) * CHUNKS;
  return keys_at(rows + c, rows + min(c + KEY_LANES, CHUNKS - 1u));
}

// One chunk of eight values; past `last` that one stands in.
fn values_of(row: u32, last: u32, c: u32) -> Eight {
  let rows = row + SHARES * vec4u(0u, 1u, 2u, 3u);
  let low = min(rows, vec4u(last)) * CHUNKS;
  let high = min(rows + 4u * SHARES, vec4u(last)) * CHUNKS;
  return values_at(low + min(c, CHUNKS - 1u), high + min(c, CHUNKS - 1u));
}

// Adds up the products of two chunks of four keys, and holds them.
fn multiply_keys(part: u32, position: u32, eight: Eight) {
  let sum = products(part, eight.low) + products(part + KEY_LANES, eight.high);
  held[part * PRODUCTS + position] = sum[0];
  held[part * PRODUCTS + position + KEYS] = sum[1];
  held[part * PRODUCTS + position + 2u * KEYS] = sum[2];
  held[part * PRODUCTS + position + 3u * KEYS] = sum[3];
}

fn score(position: u32) -> vec4f {
  var sum = held[position];
  for (var part = 1u; part < KEY_LANES; part++) { sum += held[part * PRODUCTS + position]; }
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

// Adds four values, SHARES apart, to the sums.
fn add_values(i: u32, four: Chunks) {
  let weight0 = weights[i];
  let weight1 = weights[i + SHARES];
  let weight2 = weights[i + 2u * SHARES];
  let weight3 = weights[i + 3u * SHARES];
  sums_low = add(sums_low, first_quad(four.first), weight0);
  sums_low = add(sums_low, first_quad(four.second), weight1);
  sums_low = add(sums_low, first_quad(four.third), weight2);
  sums_low = add(sums_low, first_quad(four.fourth), weight3);
  if (QUADS_OF_CHUNK > 1u) {
    sums_high = add(sums_high, second_quad(four.first), weight0);
    sums_high = add(sums_high, second_quad(four.second), weight1);
    sums_high = add(sums_high, second_quad(four.third), weight2);
    sums_high = add(sums_high, second_quad(four.fourth), weight3);
  }
}

// Adds up one of the sums' two halves over all lanes that have the same channels, and writes it.
fn write_half(lane: u32, half: u32, sums4: mat4x4f, to: u32) {
  workgroupBarrier();
  held[lane] = sums4[0];
  held[LANES + lane] = sums4[1];
  held[2u * LANES + lane] = sums4[2];
  held[3u * LANES + lane] = sums4[3];
  workgroupBarrier();
  for (var i = lane; i < QUERIES * CHUNKS; i += LANES) {
    let query = i / CHUNKS;
    let channel = i % CHUNKS * QUADS_OF_CHUNK + half;
    var sum = vec4f();
    for (var other = 0u; other < SHARES; other++) { sum += held[query * LANES + other * VALUE_LANES + i % CHUNKS]; }
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
  let page = page_in_block(step_page(at.pages, begin / PAGE));
  if (page >= params.count) { return; }

  let kv_head = head / (params.heads / params.kv_heads);
  let first = (page * params.kv_heads + kv_head) * PAGE + begin % PAGE; // cached row
  let last = first + min(size - 1u, at.position - begin);
  let is_own = at.position - begin < size;
  let part = lane.index % KEY_LANES;
  let team = lane.index / KEY_LANES;
  let channel = lane.index % VALUE_LANES;
  let share = lane.index / VALUE_LANES;
  var next: Eight; // keys of the next tile
  if (!is_own) { next = keys_of(first + team, last, part); }
  load_queries(lane, params.first_row + row, head, kv_head, at, last, is_own);
  if (is_own) { next = keys_of(first + team, last, part); } // its own key is there now

  var largest = vec4f(LOWEST);
  var total = vec4f(); // of this lane's positions
  for (var tile = first; tile <= last; tile += TILE) {
    let eight = values_of(tile + share, last, channel);
    multiply_keys(part, team, next);
    next = keys_of(tile + TILE + team, last, part);
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
    sums_low = scaled(sums_low, fade);
    sums_high = scaled(sums_high, fade);
    add_values(share, eight.low);
    add_values(share + 4u * SHARES, eight.high);
  }
  let whole = sum_lanes4(lane, total);
  let to = (row * params.units + unit) * params.heads + head;
  write_half(lane.index, 0u, sums_low, to);
  if (QUADS_OF_CHUNK > 1u) { write_half(lane.index, 1u, sums_high, to); }
  if (lane.index == 0u) {
    carry[to] = vec2f(largest.x, whole.x);
    if (QUERIES > 1u) { carry[to + 1u] = vec2f(largest.y, whole.y); }
    if (QUERIES > 2u) { carry[to + 2u] = vec2f(largest.z, whole.z); }
    if (QUERIES > 3u) { carry[to + 3u] = vec2f(largest.w, whole.w); }
  }
}
