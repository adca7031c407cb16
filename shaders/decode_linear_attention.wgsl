// o_t = D^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t, row by row (spec c.6), behind the norm and rotation of q and k (spec c.3).
// SILU: before those, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table.
// One workgroup of LANES per segment, head and slice of COLUMNS · 4 value channels; its lanes share out the key channels.
// SIZE: channels of a head, D; COLUMNS: 1, 2 or 4.

const CHANNELS4 = SIZE / 4u;
const ONE_EACH = SIZE <= LANES; // a lane has one key channel at most

struct Params {
  heads: u32,
  half: u32, // pairs that are rotated
  first: u32, // state of the part, counted as slot · heads + head
  count: u32, // states of the part
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(4) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(5) var<storage, read> rope: array<f32>; // [context, 2, half]
@group(0) @binding(6) var<storage, read> decay: array<f32>; // [heads], exp(g)
@group(0) @binding(7) var<storage, read_write> state: array<vec4f>; // [slots, heads, D(k), D(v)]
@group(0) @binding(8) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

var<workgroup> pairs: array<vec2f, SIZE>; // q and k of one row, normed but for the scales

// The first channel of q (0), k (1) or v (2) of a head and row.
fn at(row: u32, which: u32, head: u32) -> u32 { return ((row * 3u + which) * params.heads + head) * SIZE; }

fn channel(i: u32) -> f32 {
  if (SILU) { return silu(qkv[i]); }
  return qkv[i];
}

fn value4(i: u32) -> vec4f { return vec4f(channel(i), channel(i + 1u), channel(i + 2u), channel(i + 3u)); }

// Fills `pairs`; returns the scales of q and k.
fn load_pairs(lane: Lane, row: u32, head: u32) -> vec2f {
  let q = at(row, 0u, head);
  let k = at(row, 1u, head);
  var squares = vec2f();
  for (var c = lane.index; c < SIZE; c += LANES) {
    var pair = vec2f(channel(q + c), channel(k + c));
    squares += pair * pair;
    if (NORM) { pair *= vec2f(query_weight[c], key_weight[c]); }
    pairs[c] = pair;
  }
  var scales = vec2f(1.0);
  if (NORM) {
    let means = sum_lanes4(lane, vec4f(squares, 0.0, 0.0)).xy / f32(SIZE);
    scales = 1.0 / sqrt(means + vec2f(params.query_epsilon, params.key_epsilon));
  }
  workgroupBarrier();
  return scales;
}

// Cosine of channel c's angle, and its sine with the sign that the partner's part has.
fn rotation(c: u32, position: u32) -> vec2f {
  if (!ROTATE || c >= 2u * params.half) { return vec2f(1.0, 0.0); }
  let is_second = c >= params.half;
  let angle = position * 2u * params.half + select(c, c - params.half, is_second);
  return vec2f(rope[angle], select(-rope[angle + params.half], rope[angle + params.half], is_second));
}

// Channel c of q and k after the rotation of channel j with j + half, j < half.
fn rotated(c: u32, turn: vec2f) -> vec2f {
  if (!ROTATE || c >= 2u * params.half) { return pairs[c]; }
  let partner = pairs[select(c + params.half, c - params.half, c >= params.half)];
  return pairs[c] * turn.x + partner * turn.y;
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let slices = CHANNELS4 / COLUMNS;
  let column = flat(group, grid) % slices * COLUMNS;
  let head = flat(group, grid) / slices % params.heads;
  let index = flat(group, grid) / slices / params.heads;
  if (index >= step_segments()) { return; }
  let segment = step_segment(index);
  let held = segment.slot * params.heads + head;
  if (held < params.first || held >= params.first + params.count) { return; }
  let base = (held - params.first) * SIZE * CHANNELS4 + column;
  for (var r = 0u; r < segment.rows; r++) {
    let row = segment.first + r;
    let position = segment.start + r;
    // Read ahead of the barriers, where it is known what to read.
    var ahead0 = vec4f();
    var ahead1 = vec4f();
    var ahead2 = vec4f();
    var ahead3 = vec4f();
    var turn = vec2f();
    if (ONE_EACH && lane.index < SIZE) {
      let i = base + lane.index * CHANNELS4;
      ahead0 = state[i];
      if (COLUMNS > 1u) { ahead1 = state[i + 1u]; }
      if (COLUMNS > 2u) {
        ahead2 = state[i + 2u];
        ahead3 = state[i + 3u];
      }
      turn = rotation(lane.index, position);
    }
    // A sequence begins from an empty state, whatever the slot holds.
    let factor = select(decay[head], 0.0, position == 0u);
    let v = at(row, 2u, head) + 4u * column;
    let v0 = value4(v);
    var v1 = vec4f();
    var v2 = vec4f();
    var v3 = vec4f();
    if (COLUMNS > 1u) { v1 = value4(v + 4u); }
    if (COLUMNS > 2u) {
      v2 = value4(v + 8u);
      v3 = value4(v + 12u);
    }
    let scales = load_pairs(lane, row, head);
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var c = lane.index; c < SIZE; c += LANES) {
      if (!ONE_EACH) { turn = rotation(c, position); }
      let qk = rotated(c, turn) * scales;
      let i = base + c * CHANNELS4;
      if (!ONE_EACH) {
        ahead0 = state[i];
        if (COLUMNS > 1u) { ahead1 = state[i + 1u]; }
        if (COLUMNS > 2u) {
          ahead2 = state[i + 2u];
          ahead3 = state[i + 3u];
        }
      }
      let s0 = factor * ahead0 + qk.y * v0;
      sum0 += qk.x * s0;
      if (COLUMNS > 1u) {
        let s1 = factor * ahead1 + qk.y * v1;
        sum1 += qk.x * s1;
        if (COLUMNS > 2u) {
          let s2 = factor * ahead2 + qk.y * v2;
          let s3 = factor * ahead3 + qk.y * v3;
          sum2 += qk.x * s2;
          sum3 += qk.x * s3;
          state[i + 2u] = s2;
          state[i + 3u] = s3;
        }
        state[i + 1u] = s1;
      }
      state[i] = s0;
    }
    let to = (row * params.heads + head) * CHANNELS4 + column;
    let root = sqrt(f32(SIZE));
    let total0 = sum_lanes4(lane, sum0);
    if (lane.index == 0u) { out[to] = total0 / root; }
    if (COLUMNS > 1u) {
      let total1 = sum_lanes4(lane, sum1);
      if (lane.index == 0u) { out[to + 1u] = total1 / root; }
    }
    if (COLUMNS > 2u) {
      let total2 = sum_lanes4(lane, sum2);
      let total3 = sum_lanes4(lane, sum3);
      if (lane.index == 0u) {
        out[to + 2u] = total2 / root;
        out[to + 3u] = total3 / root;
      }
    }
    workgroupBarrier(); // `pairs` are still being read
  }
}
