// The PER_TOKEN experts of the largest p + bias in the GROUPS_KEPT best groups, as a workgroup of LANES finds them for a row (spec c.9), with
// p = sigmoid(logits[t]), or softmax(logits[t]) if SOFTMAX; a group is as good as the sum of its two best. Ties go to lower indices.
// NORMALIZE: weights are divided by their sum. BIAS: there is one. GROUPS: GROUPS_KEPT of them are kept.
// Four neighbours of a group are a unit. Units are ranked by the best of each, by counting how many come before one; the experts of the
// PER_TOKEN first units are ranked likewise. The kernel binds logits [T, EXPERTS] and bias [EXPERTS].

const GROUP_SIZE = EXPERTS / GROUPS;
const UNIT = select(1u, 4u, GROUP_SIZE % 4u == 0u);
const UNITS = EXPERTS / UNIT;
const GROUP_UNITS = GROUP_SIZE / UNIT;
const KEPT = GROUPS_KEPT * GROUP_UNITS; // units of the groups that are kept
const FIRSTS = min(PER_TOKEN, KEPT); // units that may have an expert which is chosen
const LOWEST = -3.4e38;

// What is ranked: by falling key, then by rising index.
struct Entry {
  key: u32,
  index: u32,
}

var<workgroup> scores: array<vec4f, UNITS>; // p
var<workgroup> keys: array<vec4u, UNITS>; // p + bias, ordered as it is, from 1 on; 0 past a unit's last
var<workgroup> bests: array<vec2f, UNITS>; // the two largest p + bias of each
var<workgroup> group_sums: array<f32, GROUPS>;
var<workgroup> kept: array<Entry, KEPT>; // the largest key of each unit, in any order
var<workgroup> firsts: array<u32, FIRSTS>; // units
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

fn score_of(t: u32, e: u32) -> f32 {
  if (SOFTMAX) { return softmax(t, e); }
  return sigmoid(logits[t * EXPERTS + e]);
}

fn bias_of(e: u32) -> f32 {
  if (BIAS) { return bias[e]; }
  return 0.0;
}

fn note_unit(t: u32, i: u32) {
  let e = UNIT * i;
  var score = vec4f(score_of(t, e), vec3f());
  var choice = vec4f(score.x + bias_of(e), vec3f(LOWEST));
  if (UNIT == 4u) {
    score = vec4f(score.x, score_of(t, e + 1u), score_of(t, e + 2u), score_of(t, e + 3u));
    choice = score + vec4f(bias_of(e), bias_of(e + 1u), bias_of(e + 2u), bias_of(e + 3u));
  }
  var key = ordered_keys(choice);
  if (UNIT == 1u) { key = vec4u(key.x, vec3u()); }
  scores[i] = score;
  keys[i] = key;
  bests[i] = two_best(two_of(choice.xy), two_of(choice.zw));
  if (GROUPS == 1u) { kept[i] = Entry(largest_of(key), i); }
}

fn two_of(pair: vec2f) -> vec2f { return vec2f(max(pair.x, pair.y), min(pair.x, pair.y)); }

// The two largest of two twos that are in order.
fn two_best(a: vec2f, b: vec2f) -> vec2f { return vec2f(max(a.x, b.x), max(min(a.x, b.x), max(a.y, b.y))); }

fn largest_of(key: vec4u) -> u32 { return max(max(key.x, key.y), max(key.z, key.w)); }

fn best_at(i: u32, end: u32) -> vec2f {
  return select(vec2f(LOWEST), bests[min(i, UNITS - 1u)], i < end);
}

fn sum_group(group: u32) {
  let end = (group + 1u) * GROUP_UNITS;
  var best = vec2f(LOWEST);
  for (var i = group * GROUP_UNITS; i < end; i += 4u) {
    let near = two_best(best_at(i, end), best_at(i + 1u, end));
    best = two_best(best, two_best(near, two_best(best_at(i + 2u, end), best_at(i + 3u, end))));
  }
  group_sums[group] = best.x + select(best.y, 0.0, GROUP_SIZE == 1u);
}

// Whether one group is better than another.
fn is_better(group: u32, other: u32) -> u32 {
  let sum = group_sums[min(group, GROUPS - 1u)];
  let other_sum = group_sums[other];
  return u32(group < GROUPS && (sum > other_sum || (sum == other_sum && group < other)));
}

fn group_place(group: u32) -> u32 {
  var better = 0u;
  for (var g = 0u; g < GROUPS; g += 4u) {
    better += (is_better(g, group) + is_better(g + 1u, group)) + (is_better(g + 2u, group) + is_better(g + 3u, group));
  }
  return better;
}

// Keeps a unit if its group is kept.
fn keep(i: u32) {
  let place = group_place(i / GROUP_UNITS);
  if (place < GROUPS_KEPT) { kept[place * GROUP_UNITS + i % GROUP_UNITS] = Entry(largest_of(keys[i]), i); }
}

fn comes_first(other: Entry, own: Entry) -> u32 {
  return u32(other.key > own.key || (other.key == own.key && other.index < own.index));
}

fn kept_first(k: u32, own: Entry) -> u32 { return select(0u, comes_first(kept[min(k, KEPT - 1u)], own), k < KEPT); }

fn rank_unit(j: u32) {
  let own = kept[j];
  var place = 0u;
  for (var k = 0u; k < KEPT; k += 4u) {
    place += (kept_first(k, own) + kept_first(k + 1u, own)) + (kept_first(k + 2u, own) + kept_first(k + 3u, own));
  }
  if (place < FIRSTS) { firsts[place] = own.index; }
}

// How many experts of the f-th unit come before one.
fn experts_first(f: u32, own: Entry) -> u32 {
  let unit = firsts[min(f, FIRSTS - 1u)];
  let key = keys[unit];
  let e = UNIT * unit;
  var count = comes_first(Entry(key.x, e), own);
  if (UNIT == 4u) {
    count += comes_first(Entry(key.y, e + 1u), own) + comes_first(Entry(key.z, e + 2u), own) +
      comes_first(Entry(key.w, e + 3u), own);
  }
  return select(0u, count, f < FIRSTS);
}

fn rank_expert(j: u32) {
  let unit = firsts[j / UNIT];
  let own = Entry(keys[unit][j % UNIT], UNIT * unit + j % UNIT);
  var place = 0u;
  for (var f = 0u; f < FIRSTS; f += 4u) {
    place += (experts_first(f, own) + experts_first(f + 1u, own)) +
      (experts_first(f + 2u, own) + experts_first(f + 3u, own));
  }
  if (place < PER_TOKEN) {
    chosen[place] = own.index;
    chosen_scores[place] = scores[unit][j % UNIT];
  }
}

// Fills `chosen` and `chosen_scores` for row t.
fn choose_experts(lane: u32, t: u32) {
  for (var i = lane; i < UNITS; i += LANES) { note_unit(t, i); }
  workgroupBarrier();
  if (GROUPS > 1u) {
    for (var g = lane; g < GROUPS; g += LANES) { sum_group(g); }
    workgroupBarrier();
    for (var i = lane; i < UNITS; i += LANES) { keep(i); }
    workgroupBarrier();
  }
  for (var j = lane; j < KEPT; j += LANES) { rank_unit(j); }
  workgroupBarrier();
  for (var j = lane; j < UNIT * FIRSTS; j += LANES) { rank_expert(j); }
  workgroupBarrier();
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

// What the k-th of them is weighted with, but for the router's scale.
fn chosen_weight(k: u32, total: f32) -> f32 { return chosen_scores[k] / select(1.0, total, NORMALIZE); }
