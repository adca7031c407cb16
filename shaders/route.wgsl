// ids[t] = the PER_TOKEN experts of the largest p + bias in the GROUPS_KEPT best groups, weights[t] = their p (spec c.9), with
// p = sigmoid(logits[t]), or softmax(logits[t]) if SOFTMAX; a group is as good as the sum of its two best. Ties go to lower indices.
// NORMALIZE: weights are divided by their sum. BIAS: there is one. GROUPS: GROUPS_KEPT of them are kept.
// One workgroup of LANES per row: each lane counts how many experts come before its own.

const GROUP_SIZE = EXPERTS / GROUPS;
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
var<workgroup> choices: array<f32, EXPERTS>; // p + bias
var<workgroup> groups: array<f32, GROUPS>; // sums of the two best
var<workgroup> chosen: array<u32, PER_TOKEN>;

fn softmax(t: u32, e: u32) -> f32 {
  var largest = LOWEST;
  for (var i = 0u; i < EXPERTS; i++) { largest = max(largest, logits[t * EXPERTS + i]); }
  var total = 0.0;
  for (var i = 0u; i < EXPERTS; i++) { total += exp(logits[t * EXPERTS + i] - largest); }
  return exp(logits[t * EXPERTS + e] - largest) / total;
}

fn two_best(group: u32) -> f32 {
  var best = LOWEST;
  var second = LOWEST;
  for (var e = group * GROUP_SIZE; e < (group + 1u) * GROUP_SIZE; e++) {
    second = max(second, min(best, choices[e]));
    best = max(best, choices[e]);
  }
  return select(best + second, best, GROUP_SIZE == 1u);
}

fn is_kept(group: u32) -> bool {
  var better = 0u;
  for (var other = 0u; other < GROUPS; other++) {
    better += u32(groups[other] > groups[group] || (groups[other] == groups[group] && other < group));
  }
  return better < GROUPS_KEPT;
}

// How many experts come before expert e.
fn rank(e: u32) -> u32 {
  var better = 0u;
  for (var other = 0u; other < EXPERTS; other++) {
    better += u32(choices[other] > choices[e] || (choices[other] == choices[e] && other < e));
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
  if (t >= step_rows()) { return; }
  for (var e = lane; e < EXPERTS; e += LANES) {
    if (SOFTMAX) { scores[e] = softmax(t, e); } else { scores[e] = sigmoid(logits[t * EXPERTS + e]); }
    choices[e] = scores[e];
    if (BIAS) { choices[e] += bias[e]; }
  }
  workgroupBarrier();
  for (var g = lane; g < GROUPS; g += LANES) { groups[g] = two_best(g); }
  workgroupBarrier();
  for (var e = lane; e < EXPERTS; e += LANES) {
    if (!is_kept(e / GROUP_SIZE)) { choices[e] = LOWEST; }
  }
  workgroupBarrier();
  for (var e = lane; e < EXPERTS; e += LANES) {
    let place = rank(e);
    if (place < PER_TOKEN) { chosen[place] = e; }
  }
  workgroupBarrier();
  var total = 1e-20;
  for (var k = 0u; k < PER_TOKEN; k++) { total += scores[chosen[k]]; }
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = scores[chosen[k]] / select(1.0, total, NORMALIZE) * params.scale;
  }
}
