// A row's choice of PER_TOKEN of EXPERTS, by a workgroup of LANES that is one subgroup. Whoever fills `scores` with the logits of all experts
// has biases in `bias`, if BIAS. SOFTMAX: scores are those of a softmax, or else of a sigmoid.

const GROUP_SIZE = EXPERTS / GROUPS;
const LOWEST = -3.4e38;

var<workgroup> scores: array<f32, EXPERTS>; // logits at first
var<workgroup> choices: array<f32, EXPERTS>; // score + bias
var<workgroup> group_sums: array<f32, GROUPS>; // of the two best choices
var<workgroup> chosen: array<u32, PER_TOKEN>;

// Σ exp(logit - largest), and the largest; for SOFTMAX only.
fn exponentials() -> vec2f {
  var largest = LOWEST;
  for (var e = 0u; e < EXPERTS; e++) { largest = max(largest, scores[e]); }
  var total = 0.0;
  for (var e = 0u; e < EXPERTS; e++) { total += exp(scores[e] - largest); }
  return vec2f(total, largest);
}

fn fill_scores(lane: u32) {
  var whole = vec2f();
  if (SOFTMAX) {
    whole = exponentials();
    workgroupBarrier();
  }
  for (var e = lane; e < EXPERTS; e += LANES) {
    var score = sigmoid(scores[e]);
    if (SOFTMAX) { score = exp(scores[e] - whole.y) / whole.x; }
    scores[e] = score;
    if (BIAS) { score += bias[e]; }
    choices[e] = score;
  }
  workgroupBarrier();
}

fn fill_group_sums(lane: u32) {
  for (var g = lane; g < GROUPS; g += LANES) {
    var best = LOWEST;
    var second = LOWEST;
    for (var e = g * GROUP_SIZE; e < (g + 1u) * GROUP_SIZE; e++) {
      let choice = choices[e];
      second = max(second, min(best, choice));
      best = max(best, choice);
    }
    group_sums[g] = best + select(second, 0.0, GROUP_SIZE == 1u);
  }
  workgroupBarrier();
}

fn is_kept(group: u32) -> bool {
  if (GROUPS == GROUPS_KEPT) { return true; }
  let own = group_sums[group];
  var better = 0u;
  for (var other = 0u; other < GROUPS; other++) {
    let sum = group_sums[other];
    better += u32(sum > own || (sum == own && other < group));
  }
  return better < GROUPS_KEPT;
}

// Leaves `chosen` in the order of falling choices.
fn choose(lane: u32) {
  for (var g = lane; g < GROUPS; g += LANES) {
    if (is_kept(g)) { continue; }
    for (var e = g * GROUP_SIZE; e < (g + 1u) * GROUP_SIZE; e++) { choices[e] = LOWEST; }
  }
  workgroupBarrier();
  for (var e = lane; e < EXPERTS; e += LANES) {
    let own = choices[e];
    var place = 0u;
    for (var other = 0u; other < EXPERTS; other++) {
      let rival = choices[other];
      place += u32(rival > own || (rival == own && other < e));
    }
    if (place < PER_TOKEN) { chosen[place] = e; }
  }
  workgroupBarrier();
}

// Chooses by the logits that the lanes have just left in `scores`: the experts are in `chosen` then, by falling choice. Returns what
// their scores are divided by to be weights.
fn choose_experts(lane: u32) -> f32 {
  workgroupBarrier();
  fill_scores(lane);
  if (GROUPS > GROUPS_KEPT) { fill_group_sums(lane); }
  choose(lane);
  if (!NORMALIZE) { return 1.0; }
  var total = 1e-20;
  for (var k = 0u; k < PER_TOKEN; k++) { total += scores[chosen[k]]; }
  return total;
}
