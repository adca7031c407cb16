// Makes rows ready for softmax attention: norm and rotation of every q head, in place, and of every k head on its way into the cache,
// where v goes as it is (spec c.3). Only rows whose own position lies in the block of pages that is bound.
// SILU: before that, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table.
// SIZE: channels of a head, D; PAGE: positions of a page; QUADS: vec4s of a cached row, zeros after the head's.
// One workgroup of LANES per row and head.

const CHANNELS4 = SIZE / 4u;

struct Params {
  heads: u32,
  kv_heads: u32,
  half: u32, // pairs that are rotated
  first: u32, // page of the block
  count: u32, // pages of the block
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(3) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(4) var<storage, read> rope: array<f32>; // [context, 2, half]
@group(0) @binding(5) var<storage, read_write> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(6) var<storage, read_write> keys: array<chunk>; // [pages, kv_heads, PAGE, D]
@group(0) @binding(7) var<storage, read_write> values: array<chunk>; // [pages, kv_heads, PAGE, D]

var<workgroup> channels: array<f32, QUADS * 4u>; // of one head, zeros after its own

// Channel c behind the norm and the rotation of channel j with j + half, j < half.
fn rotated(c: u32, position: u32) -> f32 {
  if (!ROTATE || c >= 2u * params.half) { return channels[c]; }
  let is_second = c >= params.half;
  let j = select(c, c - params.half, is_second);
  let angle = position * 2u * params.half + j;
  let partner = channels[select(c + params.half, j, is_second)];
  return channels[c] * rope[angle] + partner * select(-rope[angle + params.half], rope[angle + params.half], is_second);
}

fn rotated4(i: u32, position: u32) -> vec4f {
  let c = 4u * i;
  return vec4f(rotated(c, position), rotated(c + 1u, position), rotated(c + 2u, position), rotated(c + 3u, position));
}

fn plain4(i: u32) -> vec4f {
  return vec4f(channels[4u * i], channels[4u * i + 1u], channels[4u * i + 2u], channels[4u * i + 3u]);
}

fn weight4(is_query: bool, i: u32) -> vec4f {
  let c = 4u * i;
  if (is_query) { return vec4f(query_weight[c], query_weight[c + 1u], query_weight[c + 2u], query_weight[c + 3u]); }
  return vec4f(key_weight[c], key_weight[c + 1u], key_weight[c + 2u], key_weight[c + 3u]);
}

fn activated(i: u32) -> vec4f {
  let value = qkv[i];
  if (SILU) { return vec4f(silu(value.x), silu(value.y), silu(value.z), silu(value.w)); }
  return value;
}

// Fills `channels` with a head, normed if it is one of q or k.
fn load_head(lane: Lane, base: u32, is_query: bool, is_value: bool) {
  var squares = 0.0;
  for (var i = lane.index; i < CHANNELS4; i += LANES) {
    let value = activated(base + i);
    squares += dot(value, value);
  }
  var scale = 1.0;
  if (NORM) {
    let epsilon = select(params.key_epsilon, params.query_epsilon, is_query);
    scale = 1.0 / sqrt(sum_lanes(lane, squares) / f32(SIZE) + epsilon);
  }
  for (var i = lane.index; i < QUADS; i += LANES) {
    var value = vec4f();
    if (i < CHANNELS4) {
      value = activated(base + i);
      if (NORM && !is_value) { value *= scale * weight4(is_query, i); }
    }
    channels[4u * i] = value.x;
    channels[4u * i + 1u] = value.y;
    channels[4u * i + 2u] = value.z;
    channels[4u * i + 3u] = value.w;
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let all = params.heads + 2u * params.kv_heads;
  let t = flat(group, grid) / all;
  let head = flat(group, grid) % all;
  if (t >= step_rows()) { return; }
  let position = step_row(t).position;
  let page = step_page(step_row(t).pages, position / PAGE) - params.first; // wraps around if it is in a block before
  if (page >= params.count) { return; }
  let is_query = head < params.heads;
  let is_value = head >= params.heads + params.kv_heads;
  let base = (t * all + head) * CHANNELS4;
  load_head(lane, base, is_query, is_value);
  if (is_query) {
    for (var i = lane.index; i < CHANNELS4; i += LANES) { qkv[base + i] = rotated4(i, position); }
    return;
  }
  let kv_head = select(head - params.heads, head - params.heads - params.kv_heads, is_value);
  let chunks = QUADS / QUADS_OF_CHUNK;
  let to = ((page * params.kv_heads + kv_head) * PAGE + position % PAGE) * chunks;
  for (var i = lane.index; i < chunks; i += LANES) {
    let quad4 = i * QUADS_OF_CHUNK;
    let second = quad4 + QUADS_OF_CHUNK - 1u;
    if (is_value) {
      values[to + i] = to_chunk(plain4(quad4), plain4(second));
    } else {
      keys[to + i] = to_chunk(rotated4(quad4, position), rotated4(second, position));
    }
  }
}
