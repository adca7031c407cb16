// Heads of q, k and v made ready for softmax attention: SiLU if SILU, a norm if NORM and a rotation if ROTATE (spec c.3), by teams of TEAM lanes
// that have a head each. SIZE: channels of a head, D; QUADS: vec4s of a cached row, zeros after the head's. HEADS are held at once.
// The kernel binds qkv [T, heads + 2 kv_heads, D], query_weight and key_weight [D], rope [context, 2, half].

const CHANNELS4 = SIZE / 4u;

var<workgroup> channels: array<f32, HEADS * QUADS * 4u>; // zeros after a head's own

// Channel c of a head behind the norm and the rotation of channel j with j + half, j < half.
fn rotated(held: u32, c: u32, position: u32) -> f32 {
  let own = channels[held * QUADS * 4u + c];
  if (!ROTATE || c >= 2u * params.half) { return own; }
  let is_second = c >= params.half;
  let j = select(c, c - params.half, is_second);
  let angle = position * 2u * params.half + j;
  let partner = channels[held * QUADS * 4u + select(c + params.half, j, is_second)];
  return own * rope[angle] + partner * select(-rope[angle + params.half], rope[angle + params.half], is_second);
}

fn rotated4(held: u32, i: u32, position: u32) -> vec4f {
  let c = 4u * i;
  return vec4f(
    rotated(held, c, position),
    rotated(held, c + 1u, position),
    rotated(held, c + 2u, position),
    rotated(held, c + 3u, position),
  );
}

fn plain4(held: u32, i: u32) -> vec4f {
  let c = held * QUADS * 4u + 4u * i;
  return vec4f(channels[c], channels[c + 1u], channels[c + 2u], channels[c + 3u]);
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

// Fills `channels` with one head for each team, normed if it is one of q or k; `base` is where it begins in qkv.
fn load_head(lane: Lane, held: u32, base: u32, is_query: bool, is_value: bool) {
  var squares = 0.0;
  for (var i = lane.index % TEAM; i < CHANNELS4; i += TEAM) {
    let value = activated(base + i);
    squares += dot(value, value);
  }
  var scale = 1.0;
  if (NORM) {
    let epsilon = select(params.key_epsilon, params.query_epsilon, is_query);
    scale = 1.0 / sqrt(sum_team4(lane, vec4f(squares, vec3f())).x / f32(SIZE) + epsilon);
  }
  for (var i = lane.index % TEAM; i < QUADS; i += TEAM) {
    var value = vec4f();
    if (i < CHANNELS4) {
      value = activated(base + i);
      if (NORM && !is_value) { value *= scale * weight4(is_query, i); }
    }
    let c = (held * QUADS + i) * 4u;
    channels[c] = value.x;
    channels[c + 1u] = value.y;
    channels[c + 2u] = value.z;
    channels[c + 3u] = value.w;
  }
}
