// Softmax attention of few rows over the positions of one unit: Σ_p exp(s_p - m) values[p, g], with m and the sum of the weights beside
// it, s_p = D^(-1/2) q[t, h] · keys[p, g], g = h's kv head, p ≤ position of t (spec c.8). merge_attention.wgsl makes the whole of them.
// One workgroup of LANES per unit (lib/units.wgsl), row and QUERIES heads, 1 to 4, that share a kv head, so that keys and values are read
// once for all of them; nothing is done for units that lie in other blocks of pages than the one that is bound.
// TILE positions at a time, online softmax: first KEY_LANES lanes a key, 16 bytes a lane at a time, then VALUE_LANES lanes a value.
// SIZE: channels of a head, D; CHUNKS: 16 bytes of a cached row; KEY_LANES, VALUE_LANES: powers of two, VALUE_LANES ≥ CHUNKS.

const CHANNELS4 = SIZE / 4u;
const QUADS = CHUNKS * QUADS_OF_CHUNK; // of a row, the zeros at its end included
const KEYS = LANES / KEY_LANES;
const TILE = 4u * KEYS;
const SHARES = LANES / VALUE_LANES;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
  first_row: u32, // of those that go together
  rows: u32, // how many these are at most [B]
  units: u32, // the most units of a row [U]
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(4) var<storage, read> values: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [B, U, heads], m and the sum of the weights
@group(0) @binding(6) var<storage, read_write> sums: array<vec4f>; // [B, U, heads, D]

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

// What every lane of the teams adds to the scores of the tile's positions; past `last` that one stands in.
fn multiply_keys(lane: u32, tile: u32, last: u32) {
  let part = lane % KEY_LANES;
  let first = lane / KEY_LANES;
  let row0 = min(tile + first, last) * CHUNKS;
  let row1 = min(tile + first + KEYS, last) * CHUNKS;
  let row2 = min(tile + first + 2u * KEYS, last) * CHUNKS;
  let row3 = min(tile + first + 3u * KEYS, last) * CHUNKS;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var c = part; c < CHUNKS; c += KEY_LANES) {
    let key0 = keys[row0 + c];
    let key1 = keys[row1 + c];
    let key2 = keys[row2 + c];
    let key3 = keys[row3 + c];
    sum0 += product(c, key0);
    sum1 += product(c, key1);
    sum2 += product(c, key2);
    sum3 += product(c, key3);
  }
  products[first * KEY_LANES + part] = sum0;
  products[(first + KEYS) * KEY_LANES + part] = sum1;
  products[(first + 2u * KEYS) * KEY_LANES + part] = sum2;
  products[(first + 3u * KEYS) * KEY_LANES + part] = sum3;
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
  let q = ((params.first_row + row) * (params.heads + 2u * params.kv_heads) + head) * CHANNELS4;
  for (var i = lane.index; i < QUERIES * QUADS; i += LANES) {
    let channel = i % QUADS;
    var value = vec4f();
    if (channel < CHANNELS4) { value = qkv[q + i / QUADS * CHANNELS4 + channel] / sqrt(f32(SIZE)); }
    queries[i] = value;
  }
  workgroupBarrier();

  let channel = lane.index % VALUE_LANES;
  let wide = lane.index / VALUE_LANES;
  var largest = vec4f(LOWEST);
  var total = vec4f(); // of this lane's positions
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  for (var tile = first; tile <= last; tile += TILE) {
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
        let value0 = values[(tile + i) * CHUNKS + channel];
        let value1 = values[min(tile + i + SHARES, last) * CHUNKS + channel];
        let value2 = values[min(tile + i + 2u * SHARES, last) * CHUNKS + channel];
        let value3 = values[min(tile + i + 3u * SHARES, last) * CHUNKS + channel];
        sum0 = add(sum0, first_quad(value0), weights[i]);
        sum0 = add(sum0, first_quad(value1), weights[i + SHARES]);
        sum0 = add(sum0, first_quad(value2), weights[i + 2u * SHARES]);
        sum0 = add(sum0, first_quad(value3), weights[i + 3u * SHARES]);
        if (QUADS_OF_CHUNK > 1u) {
          sum1 = add(sum1, second_quad(value0), weights[i]);
          sum1 = add(sum1, second_quad(value1), weights[i + SHARES]);
          sum1 = add(sum1, second_quad(value2), weights[i + 2u * SHARES]);
          sum1 = add(sum1, second_quad(value3), weights[i + 3u * SHARES]);
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
