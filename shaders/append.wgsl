// Makes rows ready for softmax attention: norm and rotation of every q head, in place, and of every k head on its way into the cache,
// where v goes as it is (spec c.3). Only rows whose own position lies in the block of pages that is bound.
// SILU: before that, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table (lib/ready_heads.wgsl).
// SIZE: channels of a head, D; PAGE: positions of a page; QUADS: vec4s of a cached row, zeros after the head's.
// One workgroup of LANES per row and head.

const HEADS = 1u;

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

var<workgroup> held: array<vec4f, QUADS>;

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
  let turn = first_turn(lane, position);
  let made = head_at(lane, 0u, base, is_query, is_value);
  var squares = vec4f();
  if (NORM) { squares = sum_team4(lane, vec4f(squares_of(lane, made), vec3f())); }
  hold_head(lane, made, squares.x);
  hold_turns(lane, position, turn);
  workgroupBarrier();
  if (is_query) {
    for (var i = lane.index; i < CHANNELS4; i += LANES) { qkv[base + i] = rotated4(0u, i); }
    return;
  }
  let kv_head = select(head - params.heads, head - params.heads - params.kv_heads, is_value);
  let chunks = QUADS / QUADS_OF_CHUNK;
  let to = ((page * params.kv_heads + kv_head) * PAGE + position % PAGE) * chunks;
  for (var i = lane.index; i < chunks; i += LANES) {
    let quad4 = i * QUADS_OF_CHUNK;
    let second = quad4 + QUADS_OF_CHUNK - 1u;
    if (is_value) {
      values[to + i] = to_chunk(plain4(0u, quad4), plain4(0u, second));
    } else {
      keys[to + i] = to_chunk(rotated4(0u, quad4), rotated4(0u, second));
    }
  }
}
