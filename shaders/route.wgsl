// ids[t] = the PER_TOKEN experts of the largest p + bias in the GROUPS_KEPT best groups, weights[t] = their p (spec c.9), with
// p = sigmoid(logits[t]), or softmax(logits[t]) if SOFTMAX; a group is as good as the sum of its two best. Ties go to lower indices.
// NORMALIZE: weights are divided by their sum. BIAS: there is one. GROUPS: GROUPS_KEPT of them are kept.
// One workgroup of LANES per row: each lane counts how many experts come before its own, in its group and then in all that are kept.

const GROUP_SIZE = EXPERTS / GROUPS;
const EXPERTS4 = (EXPERTS + 3u) / 4u;
const LOWEST = -3.4e38;

struct Params {
  scale: f32, // of the weights
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [T, EXPERTS]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(4) var<storage, read_write> ids: array<u32>; // [T, PER_TOKEN]
@group(0) @binding(5) var<storage, read_write> weights: array<f32>; // [T, PER_TOKEN]

var<workgroup> scores: array<f32, EXPERTS>; // p
var<workgroup> choices: array<vec4f, EXPERTS4>; // p + bias
var<workgroup> keys: array<vec4u, EXPERTS4>; // ordered as they are, from 1 on; 0 after the last
var<workgroup> best: array<f32, GROUPS>; // choice of each
var<workgroup> second: array<f32, GROUPS>;
var<workgroup> kept: array<u32, GROUPS>;
var<workgroup> chosen: array<u32, PER_TOKEN>;
var<workgroup> chosen_scores: array<f32, PER_TOKEN>;

// u32 ordered as the floats are; larger than 0 for all but one kind of NaN.
fn ordered_keys(x: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(select(x, vec4f(), x == vec4f())); // -0 equals 0
  return select(bits | vec4u(0x80000000u), ~bits, (bits >> vec4u(31u)) == vec4u(1u));
}

fn softmax(t: u32, e: u32) -> f32 {
  var largest = LOWEST;
  for (var i = 0u; i < EXPERTS; i++) { largest = max(largest, logits[t * EXPERTS + i]); }
  var total = 0.0;
  for (var i = 0u; i < EXPERTS; i++) { total += exp(logits[t * EXPERTS + i] - largest); }
  return exp(logits[t * EXPERTS + e] - largest) / total;
}

// What expert e is chosen by; keeps its score.
fn choose(t: u32, e: u32) -> f32 {
  if (e >= EXPERTS) { return LOWEST; }
  var score = 0.0;
  if (SOFTMAX) { score = softmax(t, e); } else { score = sigmoid(logits[t * EXPERTS + e]); }
  scores[e] = score;
  if (BIAS) { return score + bias[e]; }
  return score;
}

fn choice_of(e: u32) -> f32 { return choices[e / 4u][e % 4u]; }

// How many of the experts begin … end - 1 come before expert e: those of a larger key, and those below e of an equal one.
fn rank(e: u32, begin: u32, end: u32) -> u32 {
  let own = vec4u(keys[e / 4u][e % 4u]);
  var before = vec4u();
  for (var i = begin / 4u; 4u * i < end; i++) {
    let indices = 4u * i + vec4u(0u, 1u, 2u, 3u);
    var is_before = keys[i] > own - select(vec4u(), vec4u(1u), indices < vec4u(e));
    if (GROUP_SIZE % 4u != 0u) { is_before = is_before & (indices >= vec4u(begin)) & (indices < vec4u(end)); }
    before += select(vec4u(), vec4u(1u), is_before);
  }
  return before.x + before.y + before.z + before.w;
}

// Enters expert e among the two best of its group.
fn compete(e: u32) {
  let group = e / GROUP_SIZE;
  let place = rank(e, group * GROUP_SIZE, (group + 1u) * GROUP_SIZE);
  if (place == 0u) { best[group] = choice_of(e); }
  if (place == 1u) { second[group] = choice_of(e); }
}

fn group_sum(group: u32) -> f32 {
  if (GROUP_SIZE == 1u) { return best[group]; }
  return best[group] + second[group];
}

fn is_kept(group: u32) -> bool {
  let own = group_sum(group);
  var better = 0u;
  for (var other = 0u; other < GROUPS; other++) {
    let sum = group_sum(other);
    better += u32(sum > own || (sum == own && other < group));
  }
  return better < GROUPS_KEPT;
}

// How many experts of the groups kept come before expert e; EXPERTS if its own is not kept.
fn place_of(e: u32) -> u32 {
  if (GROUPS == GROUPS_KEPT) { return rank(e, 0u, EXPERTS); }
  if (kept[e / GROUP_SIZE] == 0u) { return EXPERTS; }
  var better = 0u;
  for (var g = 0u; g < GROUPS; g++) {
    if (kept[g] == 1u) { better += rank(e, g * GROUP_SIZE, (g + 1u) * GROUP_SIZE); }
  }
  return better;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (ROWS > 1u && t >= step_rows()) { return; } // a plan of one row has one
  // Lanes write whole vectors: a component's neighbours may be written with it.
  for (var i = lane; i < EXPERTS4; i += LANES) {
    let found = vec4f(choose(t, 4u * i), choose(t, 4u * i + 1u), choose(t, 4u * i + 2u), choose(t, 4u * i + 3u));
    choices[i] = found;
    keys[i] = select(vec4u(), ordered_keys(found), 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(EXPERTS));
  }
  workgroupBarrier();
  if (GROUPS > GROUPS_KEPT) {
    for (var e = lane; e < EXPERTS; e += LANES) { compete(e); }
    workgroupBarrier();
    for (var g = lane; g < GROUPS; g += LANES) { kept[g] = u32(is_kept(g)); }
    workgroupBarrier();
  }
  for (var e = lane; e < EXPERTS; e += LANES) {
    let place = place_of(e);
    if (place < PER_TOKEN) {
      chosen[place] = e;
      chosen_scores[place] = scores[e];
    }
  }
  workgroupBarrier();
  var total = 1e-20;
  for (var k = 0u; k < PER_TOKEN; k++) { total += chosen_scores[k]; }
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = chosen_scores[k] / select(1.0, total, NORMALIZE) * params.scale;
  }
}
