// ids[t] = the PER_TOKEN experts of the largest p + bias in the GROUPS_KEPT best groups, weights[t] = their p (spec c.9), with
// p = sigmoid(logits[t]), or softmax(logits[t]) if SOFTMAX; a group is as good as the sum of its two best. Ties go to lower indices.
// NORMALIZE: weights are divided by their sum. BIAS: there is one. GROUPS: GROUPS_KEPT of them are kept.
// One workgroup of LANES per row: lanes count how many experts come before one, in its group and then, of those that are among the first
// there, in the groups that are kept.

const GROUP_SIZE = EXPERTS / GROUPS;
const EXPERTS4 = (EXPERTS + 3u) / 4u;
const FIRSTS = min(PER_TOKEN, GROUP_SIZE); // of a group, all that may be chosen
const RIVALS = GROUPS * FIRSTS;
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
var<workgroup> rivals: array<u32, RIVALS>; // the first experts of each group, in order
var<workgroup> rival_keys: array<u32, RIVALS>; // theirs, and 0 in groups that are not kept
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

fn key_of(e: u32) -> u32 { return keys[e / 4u][e % 4u]; }

// Which of experts 4i … 4i + 3 come before expert e in its group: those of a larger key, and those below e of an equal one.
fn before(e: u32, own: u32, i: u32) -> vec4u {
  let begin = e / GROUP_SIZE * GROUP_SIZE;
  let indices = 4u * i + vec4u(0u, 1u, 2u, 3u);
  var is_before = keys[i] > own - select(vec4u(), vec4u(1u), indices < vec4u(e));
  if (GROUP_SIZE % 16u != 0u) {
    is_before = is_before & (indices >= vec4u(begin)) & (indices < vec4u(begin + GROUP_SIZE));
  }
  return select(vec4u(), vec4u(1u), is_before);
}

// Place of expert e in its group. Sixteen reads are under way at once.
fn place_in_group(e: u32) -> u32 {
  let begin = e / GROUP_SIZE * GROUP_SIZE;
  let own = key_of(e);
  var sum = vec4u();
  for (var i = begin / 4u; 4u * i < begin + GROUP_SIZE; i += 4u) {
    sum += (before(e, own, i) + before(e, own, i + 1u)) + (before(e, own, i + 2u) + before(e, own, i + 3u));
  }
  return sum.x + sum.y + sum.z + sum.w;
}

fn keep(place: u32, e: u32) {
  chosen[place] = e;
  chosen_scores[place] = scores[e];
}

// Enters expert e among the first of its group.
fn compete(e: u32) {
  let group = e / GROUP_SIZE;
  let place = place_in_group(e);
  if (place == 0u) { best[group] = choice_of(e); }
  if (place == 1u) { second[group] = choice_of(e); }
  if (place < FIRSTS) { rivals[group * FIRSTS + place] = e; }
}

fn group_sum(group: u32) -> f32 {
  if (GROUP_SIZE == 1u) { return best[group]; }
  return best[group] + second[group];
}

// Whether one group is better than another.
fn is_better(group: u32, other: u32) -> u32 {
  if (GROUPS % 4u != 0u && group >= GROUPS) { return 0u; }
  let sum = group_sum(group);
  let other_sum = group_sum(other);
  return u32(sum > other_sum || (sum == other_sum && group < other));
}

fn is_kept(group: u32) -> bool {
  var better = 0u;
  for (var g = 0u; g < GROUPS; g += 4u) {
    better += (is_better(g, group) + is_better(g + 1u, group)) + (is_better(g + 2u, group) + is_better(g + 3u, group));
  }
  return better < GROUPS_KEPT;
}

// Whether rival i comes before rival j of that key. Rivals of equal keys stand in the order of their experts.
fn comes_first(i: u32, j: u32, own: u32) -> u32 {
  if (RIVALS % 8u != 0u && i >= RIVALS) { return 0u; }
  return u32(rival_keys[i] > own - u32(i < j));
}

// Place of rival j among all of the groups kept.
fn place_of(j: u32) -> u32 {
  let own = rival_keys[j];
  if (own == 0u) { return PER_TOKEN; }
  var sum = 0u;
  for (var i = 0u; i < RIVALS; i += 8u) {
    sum += (comes_first(i, j, own) + comes_first(i + 1u, j, own)) +
      (comes_first(i + 2u, j, own) + comes_first(i + 3u, j, own)) +
      (comes_first(i + 4u, j, own) + comes_first(i + 5u, j, own)) +
      (comes_first(i + 6u, j, own) + comes_first(i + 7u, j, own));
  }
  return sum;
}

fn score_at(k: u32) -> f32 {
  if (PER_TOKEN % 4u != 0u && k >= PER_TOKEN) { return 0.0; }
  return chosen_scores[k];
}

fn total_score() -> f32 {
  var total = 1e-20;
  for (var k = 0u; k < PER_TOKEN; k += 4u) {
    total += (score_at(k) + score_at(k + 1u)) + (score_at(k + 2u) + score_at(k + 3u));
  }
  return total;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  let rows = step_rows(); // is on its way while the row is read
  // Lanes write whole vectors: a component's neighbours may be written with it.
  for (var i = lane; i < EXPERTS4; i += LANES) {
    let found = vec4f(choose(t, 4u * i), choose(t, 4u * i + 1u), choose(t, 4u * i + 2u), choose(t, 4u * i + 3u));
    choices[i] = found;
    keys[i] = select(vec4u(), ordered_keys(found), 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(EXPERTS));
  }
  workgroupBarrier();
  if (GROUPS == 1u) {
    for (var e = lane; e < EXPERTS; e += LANES) {
      let place = place_in_group(e);
      if (place < PER_TOKEN) { keep(place, e); }
    }
  } else {
    for (var e = lane; e < EXPERTS; e += LANES) { compete(e); }
    workgroupBarrier();
    for (var j = lane; j < RIVALS; j += LANES) { rival_keys[j] = select(0u, key_of(rivals[j]), is_kept(j / FIRSTS)); }
    workgroupBarrier();
    for (var j = lane; j < RIVALS; j += LANES) {
      let place = place_of(j);
      if (place < PER_TOKEN) { keep(place, rivals[j]); }
    }
  }
  workgroupBarrier();
  if (t >= rows) { return; }
  let total = total_score();
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = chosen_scores[k] / select(1.0, total, NORMALIZE) * params.scale;
  }
}
