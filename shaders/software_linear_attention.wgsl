// o_t = D^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t, row by row, behind the norm and rotation of q and k, as in
// decode_linear_attention.wgsl. For devices that compute on a CPU, where 8 · LANES divides D and 8 divides half.
// One workgroup of LANES per segment, head and slice of 8 · LANES value channels. Each lane has eight value channels to
// itself; of q and k each holds eight channels for all, so that nothing is added up across lanes but the squares of norms.
// SILU: before norms, SiLU of q, k and v. NORM: there are norms. ROTATE: there is a table. SIZE: channels of a head, D.

const OCTETS = SIZE / 8u;

struct Params {
  heads: u32,
  half: u32, // pairs that are rotated
  first: u32, // state of the part, counted as slot · heads + head
  count: u32, // states of the part
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> query_weight: array<vec4f>; // [D]
@group(0) @binding(4) var<storage, read> key_weight: array<vec4f>; // [D]
@group(0) @binding(5) var<storage, read> rope: array<vec4f>; // [context, 2, half]
@group(0) @binding(6) var<storage, read> decay: array<f32>; // [heads], exp(g)
@group(0) @binding(7) var<storage, read_write> state: array<vec4<u64>>; // [slots, heads, D(k), D(v)], two f32 in each u64
@group(0) @binding(8) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

fn times(a: Octet, b: Octet) -> Octet { return Octet(a.low * b.low, a.high * b.high); }

fn packed_of(pair: vec2f) -> u64 { return u64(bitcast<u32>(pair.x)) | (u64(bitcast<u32>(pair.y)) << 32u); }

fn store_state(i: u32, value: Octet) {
  state[i] = vec4<u64>(
    packed_of(value.low.xy),
    packed_of(value.low.zw),
    packed_of(value.high.xy),
    packed_of(value.high.zw),
  );
}

fn silu4(x: vec4f) -> vec4f { return x / (1.0 + exp(-x)); }

// Octet o of q (0), k (1) or v (2) of a head and row.
fn channels(row: u32, which: u32, head: u32, o: u32) -> Octet {
  let at = ((row * 3u + which) * params.heads + head) * (SIZE / 4u) + 2u * o;
  if (SILU) { return Octet(silu4(qkv[at]), silu4(qkv[at + 1u])); }
  return Octet(qkv[at], qkv[at + 1u]);
}

// The same of q or k with the weight of its norm.
fn weighted(row: u32, which: u32, head: u32, o: u32) -> Octet {
  let value = channels(row, which, head, o);
  if (!NORM) { return value; }
  if (which == 0u) { return times(value, Octet(query_weight[2u * o], query_weight[2u * o + 1u])); }
  return times(value, Octet(key_weight[2u * o], key_weight[2u * o + 1u]));
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
  return plus(times(value, cosine), scaled(times(partner, sine), select(-1.0, 1.0, is_second)));
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

// The sum with what one key channel adds to it, whose row of the state moves on.
fn advance(i: u32, sum: Octet, factor: f32, q: f32, k: f32, v: Octet) -> Octet {
  let held = plus(scaled(octet_at(state[i]), factor), scaled(v, k));
  store_state(i, held);
  return plus(sum, scaled(held, q));
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let slices = OCTETS / LANES;
  let own = flat(group, grid) % slices * LANES + lane; // octet of the value channels
  let head = flat(group, grid) / slices % params.heads;
  let index = flat(group, grid) / slices / params.heads;
  if (index >= step_segments()) { return; }
  let segment = step_segment(index);
  let held = segment.slot * params.heads + head;
  if (held < params.first || held >= params.first + params.count) { return; }
  let base = (held - params.first) * SIZE * OCTETS + own;
  for (var r = 0u; r < segment.rows; r++) {
    let row = segment.first + r;
    let position = segment.start + r;
    // A sequence begins from an empty state, whatever the slot holds.
    let factor = select(decay[head], 0.0, position == 0u);
    let v = scaled(channels(row, 2u, head, own), norm_scale(lane, row, 1u, head));
    var sum = Octet();
    for (var first = 0u; first < OCTETS; first += LANES) {
      let q = rotated(row, position, 0u, head, first + lane);
      let k = rotated(row, position, 1u, head, first + lane);
      for (var j = 0u; j < LANES; j++) {
        let qs = octet_of(q, j);
        let ks = octet_of(k, j);
        let i = base + (first + j) * 8u * OCTETS;
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
    let to = (row * params.heads + head) * (SIZE / 4u) + 2u * own;
    let scale = norm_scale(lane, row, 0u, head) / sqrt(f32(SIZE));
    out[to] = sum.low * scale;
    out[to + 1u] = sum.high * scale;
  }
}
