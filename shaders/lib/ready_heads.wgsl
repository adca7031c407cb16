// Heads of q, k and v made ready for softmax attention: SiLU if SILU, a norm if NORM and a rotation if ROTATE (spec c.3), by teams of TEAM lanes
// that have a head each. SIZE: channels of a head, D; QUADS: vec4s of a cached row, zeros after the head's.
// The kernel binds qkv [T, heads + 2 kv_heads, D], query_weight and key_weight [D], rope [context, 2, half], and has workgroup memory for
// all heads that are made ready: held, [heads, QUADS]. All that is read first is under way at once, as nothing else is done meanwhile.

const CHANNELS4 = SIZE / 4u;

var<workgroup> turns: array<vec2f, SIZE / 2u>; // cosine and sine for each pair that is rotated

// A head, with the first four channels that a lane has and what the norm multiplies them by.
struct Head {
  index: u32, // in `held`
  base: u32, // in qkv
  is_query: bool,
  is_value: bool,
  first: vec4f,
  weight: vec4f,
}

fn turn_at(position: u32, j: u32) -> vec2f {
  let angle = position * 2u * params.half + j;
  return vec2f(rope[angle], rope[angle + params.half]);
}

// The first that a lane holds.
fn first_turn(lane: Lane, position: u32) -> vec2f {
  if (!ROTATE) { return vec2f(); }
  return turn_at(position, min(lane.index, params.half - 1u));
}

fn hold_turns(lane: Lane, position: u32, first: vec2f) {
  if (!ROTATE) { return; }
  if (lane.index < params.half) { turns[lane.index] = first; }
  for (var j = lane.index + LANES; j < params.half; j += LANES) { turns[j] = turn_at(position, j); }
}

fn channel_of(head: u32, c: u32) -> f32 { return held[head * QUADS + c / 4u][c % 4u]; }

// Channel c of a head behind the norm and the rotation of channel j with j + half, j < half.
fn rotated(head: u32, c: u32) -> f32 {
  let own = channel_of(head, c);
  if (!ROTATE || c >= 2u * params.half) { return own; }
  let is_second = c >= params.half;
  let j = select(c, c - params.half, is_second);
  let partner = channel_of(head, select(c + params.half, j, is_second));
  return own * turns[j].x + partner * select(-turns[j].y, turns[j].y, is_second);
}

fn rotated4(head: u32, i: u32) -> vec4f {
  let c = 4u * i;
  return vec4f(rotated(head, c), rotated(head, c + 1u), rotated(head, c + 2u), rotated(head, c + 3u));
}

fn plain4(head: u32, i: u32) -> vec4f { return held[head * QUADS + i]; }

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

fn head_at(lane: Lane, index: u32, base: u32, is_query: bool, is_value: bool) -> Head {
  let i = min(lane.index % TEAM, CHANNELS4 - 1u);
  var head = Head(index, base, is_query, is_value, activated(base + i), vec4f());
  if (NORM) { head.weight = weight4(is_query, i); }
  return head;
}

// Σ of the squares of the lane's channels.
fn squares_of(lane: Lane, head: Head) -> f32 {
  let i = lane.index % TEAM;
  var squares = select(0.0, dot(head.first, head.first), i < CHANNELS4);
  for (var j = i + TEAM; j < CHANNELS4; j += TEAM) {
    let value = activated(head.base + j);
    squares += dot(value, value);
  }
  return squares;
}

// Fills `held` with one head for each team, normed if it is one of q or k; `squares` is their sum over all of its channels.
fn hold_head(lane: Lane, head: Head, squares: f32) {
  let epsilon = select(params.key_epsilon, params.query_epsilon, head.is_query);
  let scale = 1.0 / sqrt(squares / f32(SIZE) + epsilon);
  let i = lane.index % TEAM;
  if (i < QUADS) { hold_channels(head, i, head.first, scale * head.weight); }
  for (var j = i + TEAM; j < QUADS; j += TEAM) {
    if (j >= CHANNELS4) { hold_channels(head, j, vec4f(), vec4f()); }
    else if (NORM) { hold_channels(head, j, activated(head.base + j), scale * weight4(head.is_query, j)); }
    else { hold_channels(head, j, activated(head.base + j), vec4f()); }
  }
}

fn hold_channels(head: Head, i: u32, values: vec4f, weights: vec4f) {
  var ready = values;
  if (NORM && !head.is_value) { ready *= weights; }
  if (i >= CHANNELS4) { ready = vec4f(); }
  held[head.index * QUADS + i] = ready;
}
