// o_t = D^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t, row by row (spec c.6), behind the norm and rotation of q and k (spec c.3).
// SILU: before those, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table. SIZE: channels of a head, D.
// ROWS: 1 if steps have one row, which is then known without its segment.
// One workgroup of LANES per segment, head and ACROSS · 4 value channels. ACROSS neighbours take four each, and so many lanes that are a
// group take key channels, four at a time: a lane sums up its own outputs, and the groups' sums are added at the end.

const CHANNELS4 = SIZE / 4u;
const GROUPS = LANES / ACROSS;
const BLOCKS = (CHANNELS4 + GROUPS - 1u) / GROUPS; // of four key channels, of a lane at most
const HELD = BLOCKS <= 2u; // in registers from row to row

struct Params {
  heads: u32,
  half: u32, // pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(4) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(5) var<storage, read> rope: array<f32>; // [context, 2, half]
@group(0) @binding(6) var<storage, read> decay: array<f32>; // [heads], exp(g)
@group(0) @binding(7) var<storage, read_write> state: array<vec4f>; // [places, heads, D(k), D(v)]
@group(0) @binding(8) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

var<workgroup> pairs: array<vec2f, SIZE>; // q and k of one row, but for their norms' scales
var<workgroup> sums: array<vec4f, LANES>;

// The first channel of q (0), k (1) or v (2) of a head and row.
fn at(row: u32, which: u32, head: u32) -> u32 { return ((row * 3u + which) * params.heads + head) * SIZE; }

fn channel(i: u32) -> f32 {
  if (SILU) { return silu(qkv[i]); }
  return qkv[i];
}

fn channels4(i: u32) -> vec4f { return vec4f(channel(i), channel(i + 1u), channel(i + 2u), channel(i + 3u)); }

fn weighted(pair: vec2f, c: u32) -> vec2f {
  if (NORM) { return pair * vec2f(query_weight[c], key_weight[c]); }
  return pair;
}

// Channel c of q and k, after the rotation of channel j with j + half, j < half. All reads are under way at once.
fn rotated(q: u32, k: u32, c: u32, pair: vec2f, position: u32) -> vec2f {
  let own = weighted(pair, c);
  if (!ROTATE) { return own; }
  let is_turned = c < 2u * params.half;
  let is_second = c >= params.half;
  let other = select(c, select(c + params.half, c - params.half, is_second), is_turned);
  let angle = position * 2u * params.half + select(0u, select(c, other, is_second), is_turned);
  let cosine = rope[angle];
  let sine = rope[angle + params.half];
  let partner = weighted(vec2f(channel(q + other), channel(k + other)), other);
  return select(own, own * cosine + partner * select(-sine, sine, is_second), is_turned);
}

// Fills `pairs`; returns the scales of q and k.
fn load_pairs(lane: Lane, row: u32, position: u32, head: u32) -> vec2f {
  let q = at(row, 0u, head);
  let k = at(row, 1u, head);
  var squares = vec2f();
  for (var c = lane.index; c < SIZE; c += LANES) {
    let pair = vec2f(channel(q + c), channel(k + c));
    pairs[c] = rotated(q, k, c, pair, position);
    squares += pair * pair;
  }
  var scales = vec2f(1.0);
  if (NORM) {
    let means = sum_lanes4(lane, vec4f(squares, 0.0, 0.0)).xy / f32(SIZE);
    scales = 1.0 / sqrt(means + vec2f(params.query_epsilon, params.key_epsilon));
  }
  workgroupBarrier();
  return scales;
}

// Four key channels of the state, a column each.
fn read_block(i: u32) -> mat4x4f {
  return mat4x4f(state[i], state[i + CHANNELS4], state[i + 2u * CHANNELS4], state[i + 3u * CHANNELS4]);
}

fn write_block(i: u32, block: mat4x4f) {
  state[i] = block[0];
  state[i + CHANNELS4] = block[1];
  state[i + 2u * CHANNELS4] = block[2];
  state[i + 3u * CHANNELS4] = block[3];
}

// What the block at key channel c is after this row's step.
fn stepped(block: mat4x4f, c: u32, factor: f32, v: vec4f) -> mat4x4f {
  return mat4x4f(
    factor * block[0] + pairs[c].y * v,
    factor * block[1] + pairs[c + 1u].y * v,
    factor * block[2] + pairs[c + 2u].y * v,
    factor * block[3] + pairs[c + 3u].y * v,
  );
}

// Its part of the row's output.
fn output_of(block: mat4x4f, c: u32) -> vec4f {
  return block * vec4f(pairs[c].x, pairs[c + 1u].x, pairs[c + 2u].x, pairs[c + 3u].x);
}

fn group_sum(group: u32, across: u32) -> vec4f {
  if (GROUPS % 4u != 0u && group >= GROUPS) { return vec4f(); }
  return sums[group * ACROSS + across];
}

// Σ over the groups, with the reads of four under way at once.
fn sum_groups(across: u32) -> vec4f {
  var sum = vec4f();
  for (var g = 0u; g < GROUPS; g += 4u) {
    sum += (group_sum(g, across) + group_sum(g + 1u, across)) + (group_sum(g + 2u, across) + group_sum(g + 3u, across));
  }
  return sum;
}

fn segment_at(index: u32) -> Segment {
  if (ROWS > 1u) { return step_segment(index); }
  let row = step_row(0u);
  return Segment(0u, 1u, row.places, row.position);
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  const slices = CHANNELS4 / ACROSS;
  let across = lane.index % ACROSS;
  let group = lane.index / ACROSS;
  let column = flat(workgroup, grid) % slices * ACROSS + across;
  let head = flat(workgroup, grid) / slices % params.heads;
  let index = flat(workgroup, grid) / slices / params.heads;
  if (ROWS > 1u && index >= step_segments()) { return; }
  let segment = segment_at(index);
  let bases = (segment.places * params.heads + head) * SIZE * CHANNELS4 + column;
  let first = bases + group * SIZE;
  let second = first + GROUPS * SIZE;
  let has_first = group < CHANNELS4;
  let has_second = group + GROUPS < CHANNELS4;
  // Read ahead of the barriers. A sequence begins from an empty state, whatever its place holds.
  var block0 = mat4x4f();
  var block1 = mat4x4f();
  if (HELD && segment.start > 0u) {
    if (has_first) { block0 = read_block(first.x); }
    if (has_second) { block1 = read_block(second.x); }
  }
  let factor = decay[head];
  for (var r = 0u; r < segment.rows; r++) {
    let row = segment.first + r;
    let position = segment.start + r;
    let values = channels4(at(row, 2u, head) + 4u * column);
    let scales = load_pairs(lane, row, position, head);
    let v = values * scales.y;
    var sum = vec4f();
    if (HELD) {
      if (has_first) {
        block0 = stepped(block0, 4u * group, factor, v);
        sum = output_of(block0, 4u * group);
      }
      if (has_second) {
        block1 = stepped(block1, 4u * (group + GROUPS), factor, v);
        sum += output_of(block1, 4u * (group + GROUPS));
      }
    } else {
      for (var b = group; b < CHANNELS4; b += GROUPS) {
        var block = mat4x4f();
        if (position > 0u) { block = read_block(select(bases.y, bases.x, r == 0u) + b * SIZE); }
        block = stepped(block, 4u * b, factor, v);
        sum += output_of(block, 4u * b);
        write_block(bases.y + b * SIZE, block);
      }
    }
    sums[lane.index] = sum;
    workgroupBarrier(); // behind which `pairs` are no longer being read
    if (group == 0u) {
      out[(row * params.heads + head) * CHANNELS4 + column] = sum_groups(across) * (scales.x / sqrt(f32(SIZE)));
    }
  }
  if (HELD && has_first) { write_block(first.y, block0); }
  if (HELD && has_second) { write_block(second.y, block1); }
}
