// Every q and k head of a row: norm over its channels, then rotation of channel j with j + half for j < half (spec c.3), in place.
// SILU: before that, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table.
// One workgroup of LANES per row and head.

struct Params {
  heads: u32,
  kv_heads: u32,
  size: u32, // channels of a head, D
  half: u32, // pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(3) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(4) var<storage, read> rope: array<f32>; // [context, 2, half]
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>; // [T, heads + 2 kv_heads, D]

fn channel(at: u32) -> f32 {
  if (SILU) { return silu(qkv[at]); }
  return qkv[at];
}

fn norm_weight(is_query: bool, c: u32) -> f32 {
  if (!NORM) { return 1.0; }
  return select(key_weight[c], query_weight[c], is_query);
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let all = params.heads + 2u * params.kv_heads;
  let treated = select(params.heads + params.kv_heads, all, SILU);
  let t = flat(group, grid) / treated;
  let head = flat(group, grid) % treated;
  if (t >= step_rows()) { return; }
  let base = (t * all + head) * params.size;
  if (head >= params.heads + params.kv_heads) {
    for (var c = lane.index; c < params.size; c += LANES) { qkv[base + c] = channel(base + c); }
    return;
  }
  let is_query = head < params.heads;
  var scale = 1.0;
  if (NORM) {
    var squares = 0.0;
    for (var c = lane.index; c < params.size; c += LANES) {
      let value = channel(base + c);
      squares += value * value;
    }
    let epsilon = select(params.key_epsilon, params.query_epsilon, is_query);
    scale = 1.0 / sqrt(sum_lanes(lane, squares) / f32(params.size) + epsilon);
  }
  // Each lane rotates whole pairs, then treats the channels after them: no other lane reads what it writes.
  let half = select(0u, params.half, ROTATE);
  for (var j = lane.index; j < params.size - half; j += LANES) {
    let c = select(j + half, j, j < half);
    let first = channel(base + c) * scale * norm_weight(is_query, c);
    if (j >= half) {
      qkv[base + c] = first;
    } else {
      let second = channel(base + c + half) * scale * norm_weight(is_query, c + half);
      let angle = step_row(t).position * 2u * half + j;
      qkv[base + c] = first * rope[angle] - second * rope[angle + half];
      qkv[base + c + half] = second * rope[angle] + first * rope[angle + half];
    }
  }
}
