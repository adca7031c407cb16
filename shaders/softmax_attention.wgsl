// out[t, h] = Σ_p softmax_p(D^(-1/2) q[t, h] · keys[p, g]) values[p, g], g = h's kv head, p ≤ position of t in its slot (spec c.8).
// One workgroup of LANES per row, head and one of SPLITS spans of the positions, online softmax: each lane scores one position, then teams of TEAM lanes, one for every
// four channels, add up the values of every so many positions.
// A cache in several parts takes one dispatch each: `carry` and the unscaled sums in out go from the FIRST to the LAST of them.
// If SPLITS is above 1, merge_attention.wgsl adds up the spans: then the cache is in one part that is FIRST and not LAST.
// SIZE: channels of a head, D; TEAM: a power of two from D / 4 on; LANES is at least TEAM.

const CHANNELS4 = SIZE / 4u;
const TEAMS = LANES / TEAM;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  context: u32, // positions of a slot
  first: u32, // position of the part, counted through all slots
  count: u32, // positions of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<vec4f>; // [slots, context, kv_heads, D]
@group(0) @binding(4) var<storage, read> values: array<vec4f>; // [slots, context, kv_heads, D]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [T, heads, SPLITS], largest score and sum of exponentials
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>; // [T, heads, SPLITS, D]

var<workgroup> query: array<vec4f, CHANNELS4>;
var<workgroup> weights: array<f32, LANES>; // of one block of positions
var<workgroup> team_sums: array<vec4f, LANES>;

fn cached(position: u32, head: u32) -> u32 {
  let kv_head = head / (params.heads / params.kv_heads);
  return ((position - params.first) * params.kv_heads + kv_head) * CHANNELS4;
}

fn score(position: u32, head: u32) -> f32 {
  let key = cached(position, head);
  var product = vec4f();
  if (CHANNELS4 % 4u == 0u) {
    for (var c = 0u; c < CHANNELS4; c += 4u) {
      product += query[c] * keys[key + c] + query[c + 1u] * keys[key + c + 1u];
      product += query[c + 2u] * keys[key + c + 2u] + query[c + 3u] * keys[key + c + 3u];
    }
  } else {
    for (var c = 0u; c < CHANNELS4; c++) { product += query[c] * keys[key + c]; }
  }
  return product.x + product.y + product.z + product.w;
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  let split = index % SPLITS;
  let head = index / SPLITS % params.heads;
  let t = index / SPLITS / params.heads;
  if (t >= step_rows()) { return; }
  let channel = lane.index % TEAM;
  let team = lane.index / TEAM;
  let q = (t * (params.heads + 2u * params.kv_heads) + head) * CHANNELS4;
  let to = index * CHANNELS4;
  for (var c = lane.index; c < CHANNELS4; c += LANES) { query[c] = qkv[q + c] / sqrt(f32(SIZE)); }

  var largest = LOWEST;
  var total = 0.0;
  var sum = vec4f();
  if (!FIRST) {
    largest = carry[index].x;
    total = carry[index].y;
    if (team == 0u && channel < CHANNELS4) { sum = out[to + channel]; }
  }
  workgroupBarrier();
  let slot = step_row(t).slot * params.context;
  var begin = max(slot, params.first);
  var end = min(slot + step_row(t).position + 1u, params.first + params.count);
  if (SPLITS > 1u) {
    let span = (end - begin + SPLITS - 1u) / SPLITS;
    begin += split * span;
    end = min(end, begin + span);
  }
  for (var block = begin; block < end; block += LANES) {
    let position = block + lane.index;
    var own = LOWEST;
    if (position < end) { own = score(position, head); }
    let before = largest;
    largest = max(before, max_lanes(lane, own));
    let weight = select(0.0, exp(own - largest), position < end);
    weights[lane.index] = weight;
    total = total * exp(before - largest) + sum_lanes(lane, weight);
    workgroupBarrier();
    sum *= exp(before - largest);
    if (channel < CHANNELS4) {
      for (var i = team; i < min(LANES, end - block); i += TEAMS) {
        sum += weights[i] * values[cached(block + i, head) + channel];
      }
    }
    workgroupBarrier();
  }

  team_sums[lane.index] = sum;
  workgroupBarrier();
  for (var c = lane.index; c < CHANNELS4; c += LANES) {
    var whole = team_sums[c];
    for (var other = 1u; other < TEAMS; other++) { whole += team_sums[other * TEAM + c]; }
    out[to + c] = select(whole, whole / total, LAST);
  }
  if (!LAST && lane.index == 0u) { carry[index] = vec2f(largest, total); }
}
