// The PER_ROW largest logits of an output row, by falling logit, ties to the lower id, and ln Σ exp of the row.
// Blocks are dealt out to GROUPS groups, and these paired: of GROUPS / 2 largest logits, no two of which are the same one, the PER_ROW-th
// is a bound that PER_ROW logits reach. Those that do, few more, are found in the blocks whose maxima do, and ranked by counting. Where
// more reach it than there is room for, as among many equal ones, the largest are taken one by one.
// One workgroup of LANES per row for the largest logits, and one for ln Σ exp.

const LOWEST = -3.4e38;
const GROUPS = 8u * ((PER_ROW + 1u) / 2u);
const PAIRS4 = GROUPS / 8u;
const NONE = 0xffffffffu;
const MOST = 8u * PER_ROW; // blocks or logits that reach the bound, for which there is room

struct Params {
  vocabulary: u32, // V
}

// A logit that reaches the bound.
struct Found {
  logit: f32,
  token: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read> sums: array<vec2f>; // [R, BLOCKS], of each block the largest m and Σ exp(logit - m)
@group(0) @binding(4) var<storage, read_write> ids: array<u32>; // [R, PER_ROW]
@group(0) @binding(5) var<storage, read_write> values: array<f32>; // [R, PER_ROW]
@group(0) @binding(6) var<storage, read_write> log_sum_exp: array<f32>; // [R]

var<workgroup> group_maxima: array<f32, GROUPS>;
var<workgroup> pair_maxima: array<vec4f, PAIRS4>;
var<workgroup> bound: f32;
var<workgroup> block_count: atomic<u32>;
var<workgroup> blocks: array<u32, MOST>; // that have logits which reach the bound
var<workgroup> found_count: atomic<u32>;
var<workgroup> found: array<Found, MOST>;
var<workgroup> counts: vec2u; // of both
var<workgroup> best_key: atomic<u32>;
var<workgroup> best_token: atomic<u32>;

fn block_at(r: u32, b: u32) -> vec2f {
  return select(vec2f(LOWEST, 0.0), sums[r * BLOCKS + min(b, BLOCKS - 1u)], b < BLOCKS);
}

fn largest_of(blocks: array<vec2f, 8>) -> f32 {
  return max(
    max(max(blocks[0].x, blocks[1].x), max(blocks[2].x, blocks[3].x)),
    max(max(blocks[4].x, blocks[5].x), max(blocks[6].x, blocks[7].x)),
  );
}

fn exponentials(block: vec2f, largest: f32) -> f32 { return block.y * exp(block.x - largest); }

// Eight blocks from b on, `stride` apart, whose reads are under way at once.
fn eight_blocks(r: u32, b: u32, stride: u32) -> array<vec2f, 8> {
  return array(
    block_at(r, b),
    block_at(r, b + stride),
    block_at(r, b + 2u * stride),
    block_at(r, b + 3u * stride),
    block_at(r, b + 4u * stride),
    block_at(r, b + 5u * stride),
    block_at(r, b + 6u * stride),
    block_at(r, b + 7u * stride),
  );
}

fn write_log_sum_exp(lane: Lane, r: u32) {
  var own = vec2f(LOWEST, 0.0); // largest so far, and the sum below it
  for (var b = lane.index; b < BLOCKS; b += 8u * LANES) {
    let eight = eight_blocks(r, b, LANES);
    let larger = max(own.x, largest_of(eight));
    let sum = ((exponentials(eight[0], larger) + exponentials(eight[1], larger)) +
      (exponentials(eight[2], larger) + exponentials(eight[3], larger))) +
      ((exponentials(eight[4], larger) + exponentials(eight[5], larger)) +
        (exponentials(eight[6], larger) + exponentials(eight[7], larger)));
    own = vec2f(larger, exponentials(own, larger) + sum);
  }
  let largest = max_lanes(lane, own.x);
  let total = sum_lanes(lane, exponentials(own, largest));
  if (lane.index == 0u) { log_sum_exp[r] = largest + log(total); }
}

fn find_group_maxima(lane: u32, r: u32) {
  for (var g = lane; g < GROUPS; g += LANES) {
    var largest = LOWEST;
    for (var b = g; b < BLOCKS; b += 8u * GROUPS) { largest = max(largest, largest_of(eight_blocks(r, b, GROUPS))); }
    group_maxima[g] = largest;
  }
}

fn pair_maximum(p: u32) -> f32 { return max(group_maxima[p], group_maxima[p + GROUPS / 2u]); }

// Which of pairs 4i … 4i + 3 come before pair p.
fn before(i: u32, p: u32, own: f32) -> vec4u {
  let indices = 4u * i + vec4u(0u, 1u, 2u, 3u);
  let others = pair_maxima[min(i, PAIRS4 - 1u)];
  let is_before = (others > vec4f(own)) | ((others == vec4f(own)) & (indices < vec4u(p)));
  return select(vec4u(), vec4u(1u), is_before & (indices < vec4u(GROUPS / 2u)));
}

fn find_bound(lane: u32) {
  if (lane == 0u) { // not every implementation clears a workgroup's memory
    atomicStore(&block_count, 0u);
    atomicStore(&found_count, 0u);
  }
  workgroupBarrier();
  for (var i = lane; i < PAIRS4; i += LANES) {
    let p = 4u * i;
    pair_maxima[i] = vec4f(pair_maximum(p), pair_maximum(p + 1u), pair_maximum(p + 2u), pair_maximum(p + 3u));
  }
  workgroupBarrier();
  for (var p = lane; p < GROUPS / 2u; p += LANES) {
    let own = pair_maxima[p / 4u][p % 4u];
    var sum = vec4u();
    for (var i = 0u; i < PAIRS4; i += 4u) {
      sum += (before(i, p, own) + before(i + 1u, p, own)) + (before(i + 2u, p, own) + before(i + 3u, p, own));
    }
    if (sum.x + sum.y + sum.z + sum.w == PER_ROW - 1u) { bound = own; }
  }
  workgroupBarrier();
}

fn note_block(block: vec2f, b: u32) {
  if (b >= BLOCKS || block.x < bound) { return; }
  let at = atomicAdd(&block_count, 1u);
  if (at < MOST) { blocks[at] = b; }
}

fn find_blocks(lane: u32, r: u32) {
  for (var b = lane; b < BLOCKS; b += 8u * LANES) {
    let eight = eight_blocks(r, b, LANES);
    note_block(eight[0], b);
    note_block(eight[1], b + LANES);
    note_block(eight[2], b + 2u * LANES);
    note_block(eight[3], b + 3u * LANES);
    note_block(eight[4], b + 4u * LANES);
    note_block(eight[5], b + 5u * LANES);
    note_block(eight[6], b + 6u * LANES);
    note_block(eight[7], b + 7u * LANES);
  }
  workgroupBarrier();
}

// The i-th of the `count` logits in the blocks found; of no token past them and past the vocabulary.
fn logit_at(r: u32, i: u32, count: u32) -> Found {
  let place = min(i, count - 1u);
  let token = blocks[place / BLOCK] * BLOCK + place % BLOCK;
  let logit = logits[r * params.vocabulary + min(token, params.vocabulary - 1u)];
  return Found(logit, select(NONE, token, i < count && token < params.vocabulary));
}

fn note_logit(own: Found) {
  if (own.token == NONE || !(own.logit >= bound)) { return; }
  let at = atomicAdd(&found_count, 1u);
  if (at < MOST) { found[at] = own; }
}

fn find_logits(lane: u32, r: u32) {
  let count = min(MOST, atomicLoad(&block_count)) * BLOCK;
  for (var i = lane; i < count; i += 8u * LANES) {
    let logit0 = logit_at(r, i, count);
    let logit1 = logit_at(r, i + LANES, count);
    let logit2 = logit_at(r, i + 2u * LANES, count);
    let logit3 = logit_at(r, i + 3u * LANES, count);
    let logit4 = logit_at(r, i + 4u * LANES, count);
    let logit5 = logit_at(r, i + 5u * LANES, count);
    let logit6 = logit_at(r, i + 6u * LANES, count);
    let logit7 = logit_at(r, i + 7u * LANES, count);
    note_logit(logit0);
    note_logit(logit1);
    note_logit(logit2);
    note_logit(logit3);
    note_logit(logit4);
    note_logit(logit5);
    note_logit(logit6);
    note_logit(logit7);
  }
  workgroupBarrier();
}

fn comes_first(i: u32, own: Found, count: u32) -> u32 {
  let other = found[min(i, MOST - 1u)];
  return u32(i < count && (other.logit > own.logit || (other.logit == own.logit && other.token < own.token)));
}

fn write(at: u32, token: u32, logit: f32) {
  ids[at] = token;
  values[at] = logit;
}

fn rank_found(lane: u32, r: u32, count: u32) {
  for (var n = lane; n < count; n += LANES) {
    let own = found[n];
    var rank = 0u;
    for (var i = 0u; i < count; i += 4u) {
      rank += (comes_first(i, own, count) + comes_first(i + 1u, own, count)) +
        (comes_first(i + 2u, own, count) + comes_first(i + 3u, own, count));
    }
    if (rank < PER_ROW) { write(r * PER_ROW + rank, own.token, own.logit); }
  }
}

// u32 ordered as the floats are; larger than 0 for all but one kind of NaN.
fn ordered_key(x: f32) -> u32 {
  let bits = bitcast<u32>(select(x, 0.0, x == 0.0)); // -0 equals 0
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}

// Takes the largest of the row that is left, again and again.
fn take_largest(lane: u32, r: u32) {
  var last = vec2u(NONE, 0u); // key of what was taken last, and the token behind it
  for (var n = 0u; n < PER_ROW; n++) {
    if (lane == 0u) {
      atomicStore(&best_key, 0u);
      atomicStore(&best_token, NONE);
    }
    workgroupBarrier();
    var own = vec2u(0u, NONE);
    for (var token = lane; token < params.vocabulary; token += LANES) {
      let key = ordered_key(logits[r * params.vocabulary + token]);
      let is_left = key < last.x || (key == last.x && token >= last.y);
      if (is_left && key > own.x) { own = vec2u(key, token); }
    }
    atomicMax(&best_key, own.x);
    workgroupBarrier();
    let key = atomicLoad(&best_key);
    if (own.x == key) { atomicMin(&best_token, own.y); }
    workgroupBarrier();
    let token = min(atomicLoad(&best_token), params.vocabulary - 1u);
    if (lane == 0u) { write(r * PER_ROW + n, token, logits[r * params.vocabulary + token]); }
    last = vec2u(key, token + 1u);
    workgroupBarrier(); // the best are still being read
  }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let r = flat(group, grid) / 2u;
  if (r >= step_outputs()) { return; }
  if (flat(group, grid) % 2u == 1u) {
    write_log_sum_exp(lane, r);
    return;
  }
  find_group_maxima(lane.index, r);
  find_bound(lane.index);
  find_blocks(lane.index, r);
  find_logits(lane.index, r);
  if (lane.index == 0u) { counts = vec2u(atomicLoad(&block_count), atomicLoad(&found_count)); }
  let reached = workgroupUniformLoad(&counts);
  if (max(reached.x, reached.y) <= MOST && reached.y >= PER_ROW) { rank_found(lane.index, r, reached.y); } else {
    take_largest(lane.index, r);
  }
}
