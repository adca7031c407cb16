// Linear attention of one row and head by a workgroup that is one subgroup: o_t = D^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t, behind
// the norm and rotation of q and k. Each lane has eight value channels to itself; of q and k each holds eight channels for all, so that
// nothing is added up across lanes but the squares of norms.
// Kernels have `channels(row, which, head, o)`, octet o of q (0), k (1) or v (2).
// SILU: before norms, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table. SIZE: channels of a head, D.

const OCTETS = SIZE / 8u;

fn silu4(x: vec4f) -> vec4f { return x / (1.0 + exp(-x)); }

fn activated(value: Octet) -> Octet {
  if (SILU) { return Octet(silu4(value.low), silu4(value.high)); }
  return value;
}

// Octet o of q (0) or k (1) of a head and row with the weight of its norm.
fn weighted(row: u32, which: u32, head: u32, o: u32) -> Octet {
  let value = channels(row, which, head, o);
  if (!NORM) { return value; }
  if (which == 0u) { return times8(value, Octet(query_weight[2u * o], query_weight[2u * o + 1u])); }
  return times8(value, Octet(key_weight[2u * o], key_weight[2u * o + 1u]));
}

// The same after the rotation of channel j with j + half, j < half.
fn rotated(row: u32, position: u32, which: u32, head: u32, o: u32) -> Octet {
  let value = weighted(row, which, head, o);
  let pairs = params.half / 8u;
  if (!ROTATE || o >= 2u * pairs) { return value; }
  let is_second = o >= pairs;
  let j = select(o, o - pairs, is_second);
  let angle = (position * 2u * pairs + j) * 2u;
  let cosine = Octet(rope[angle], rope[angle + 1u]);
  let sine = Octet(rope[angle + 2u * pairs], rope[angle + 2u * pairs + 1u]);
  let partner = weighted(row, which, head, select(o + pairs, j, is_second));
  return plus8(times8(value, cosine), scaled8(times8(partner, sine), select(-1.0, 1.0, is_second)));
}

// What the norm of q (0) or k (1) multiplies by.
fn norm_scale(lane: u32, row: u32, which: u32, head: u32) -> f32 {
  if (!NORM) { return 1.0; }
  var sum = 0.0;
  for (var o = lane; o < OCTETS; o += LANES) {
    let value = channels(row, which, head, o);
    sum += dot8(value, value);
  }
  let epsilon = select(params.key_epsilon, params.query_epsilon, which == 0u);
  return 1.0 / sqrt(subgroupAdd(sum) / f32(SIZE) + epsilon);
}

// The sum with what one key channel adds to it, whose row of the state moves on, from i.x to i.y.
fn advance(i: vec2u, sum: Octet, factor: f32, q: f32, k: f32, v: Octet) -> Octet {
  let held = plus8(scaled8(octet_at(state[i.x]), factor), scaled8(v, k));
  state[i.y] = packed8(held.low, held.high);
  return plus8(sum, scaled8(held, q));
}

// o of eight value channels; `bases` are where the states that are read and written have them in the row of key channel 0.
fn recurrence(lane: u32, row: u32, position: u32, head: u32, own: u32, bases: vec2u) -> Octet {
  // A sequence begins from an empty state, whatever its place holds.
  let factor = select(decay[head], 0.0, position == 0u);
  let v = scaled8(channels(row, 2u, head, own), norm_scale(lane, row, 1u, head));
  var sum = Octet();
  for (var first = 0u; first < OCTETS; first += LANES) {
    let q = rotated(row, position, 0u, head, first + lane);
    let k = rotated(row, position, 1u, head, first + lane);
    for (var j = 0u; j < LANES; j++) {
      let qs = octet_of(q, j);
      let ks = octet_of(k, j);
      let i = bases + (first + j) * 8u * OCTETS;
      sum = advance(i, sum, factor, qs.low.x, ks.low.x, v);
      sum = advance(i + OCTETS, sum, factor, qs.low.y, ks.low.y, v);
      sum = advance(i + 2u * OCTETS, sum, factor, qs.low.z, ks.low.z, v);
      sum = advance(i + 3u * OCTETS, sum, factor, qs.low.w, ks.low.w, v);
      sum = advance(i + 4u * OCTETS, sum, factor, qs.high.x, ks.high.x, v);
      sum = advance(i + 5u * OCTETS, sum, factor, qs.high.y, ks.high.y, v);
      sum = advance(i + 6u * OCTETS, sum, factor, qs.high.z, ks.high.z, v);
      sum = advance(i + 7u * OCTETS, sum, factor, qs.high.w, ks.high.w, v);
    }
  }
  return scaled8(sum, norm_scale(lane, row, 0u, head) / sqrt(f32(SIZE)));
}
