// ids[t] = the experts chosen for row t, weights[t] = their scores, from norm(x[t]) · map[e], as decode_product.wgsl and route.wgsl do
// it. For devices that compute on a CPU, whose K is a multiple of 16: what is small goes in one dispatch, which costs as much as the work.
// One workgroup of LANES per row. Each lane has four rows of the map at a time to itself (software_product.wgsl).

const GROUP_SIZE = EXPERTS / GROUPS;
const LOWEST = -3.4e38;

struct Params {
  columns: u32, // K / 4
  scale: f32, // of the weights
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32x8>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [K]
@group(0) @binding(4) var<storage, read> map: array<weight16>; // [EXPERTS, K]
@group(0) @binding(5) var<storage, read> factors: array<factor>; // [EXPERTS / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(7) var<storage, read_write> ids: array<u32>; // [T, PER_TOKEN]
@group(0) @binding(8) var<storage, read_write> weights: array<f32>; // [T, PER_TOKEN]

var<workgroup> scores: array<f32, EXPERTS>; // logits at first
var<workgroup> choices: array<f32, EXPERTS>; // score + bias
var<workgroup> group_sums: array<f32, GROUPS>; // of the two best choices
var<workgroup> chosen: array<u32, PER_TOKEN>;

fn weights16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(map[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, factors[factor_at(block)], block);
}

fn map_weights(tile: Tile, i: u32) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  return FourStrips(
    weights16(at.x, block.x),
    weights16(at.y, block.y),
    weights16(at.z, block.z),
    weights16(at.w, block.w),
  );
}

// norm(x[t]) · the rows of a tile.
fn logits(lane: u32, t: u32, tile: Tile) -> vec4f {
  var sums = vec4f();
  var squares = 0.0;
  let size = params.columns / 4u;
  for (var i = 0u; i < size; i += LANES) {
    var held = Strip();
    if (i + lane < size) {
      let n = 2u * (i + lane);
      let at = t * (params.columns / 2u) + n;
      held = strip_at(x[at], x[at + 1u]);
      squares += dot16(held, held);
      held = times(held, strip_at(norm[n], norm[n + 1u]));
    }
    for (var j = 0u; j < min(LANES, size - i); j++) { sums += products(strip_of(held, j), map_weights(tile, i + j)); }
  }
  return sums / sqrt(subgroupAdd(squares) / f32(4u * params.columns) + params.epsilon);
}

fn fill_logits(lane: u32, t: u32) {
  for (var first = 0u; first < EXPERTS; first += LANE_ROWS * LANES) {
    let count = min(LANE_ROWS * LANES, EXPERTS - first);
    let spread = spread_rows(lane, 0u, count);
    let rows = select(vec4u(EXPERTS), first + spread, spread < vec4u(count));
    let values = logits(lane, t, tile_of(0u, rows, EXPERTS, 0u, EXPERTS));
    for (var j = 0u; j < 4u; j++) {
      if (rows[j] < EXPERTS) { scores[rows[j]] = values[j]; }
    }
  }
  workgroupBarrier();
}

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

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (t >= step_rows()) { return; }
  fill_logits(lane, t);
  fill_scores(lane);
  if (GROUPS > GROUPS_KEPT) { fill_group_sums(lane); }
  choose(lane);
  var total = 1e-20;
  for (var k = 0u; k < PER_TOKEN; k++) { total += scores[chosen[k]]; }
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = scores[chosen[k]] / select(1.0, total, NORMALIZE) * params.scale;
  }
}
