// out[t, h] = Σ_p softmax_p(D^(-1/2) q[t, h] · keys[p, g]) values[p, g], g = h's kv head, p ≤ position of t in its slot: as
// flash_attention.wgsl does, by matrix units (lib/matrices.wgsl). What is multiplied is f16: queries in powers of two, keys, values, and
// weights 2^(score - m) with a whole number m of a row's own, so that sums are scaled again without rounding, and only when a score is
// larger than m by MARGIN or more.
// One workgroup of LANES per span of rows and QUERIES heads that share a kv head; each of its DOWN subgroups has MATRIX_M rows of one head,
// which TEAM_LANES of its threads share out each. KEYS positions at a time: their scores are on their way through workgroup memory while the next
// ones are loaded. Blocks of pages as in flash_attention.wgsl.
// PAGE: positions of a page, a multiple of KEYS; QUADS: vec4s of a cached row, zeros after the head's. SIZE: channels of a head, D.

const LOWEST = -3.4e38;
const LOG2_E = 1.44269504;
const MARGIN = 8.0; // of scores above m: weights are 2^8 at most

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
  begun: u32, // whether a dispatch went before
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(4) var<storage, read> values: array<quad>; // [pages, kv_heads, PAGE, QUADS]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [T, heads, 16], m, and the sums of weights of a row's threads
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>; // [T, heads, D]
@group(0) @binding(7) var<storage, read_write> progress: array<u32>; // [T, heads], pages that a span is through with, at its first row and head

var<workgroup> done_pages: u32;
var<workgroup> outgrown: array<atomic<u32>, 2>; // whether some row's m has grown, in this step and the next

var<private> span: Span;
var<private> first_head: u32;
var<private> cached: u32; // cached row of the first position of KEYS
var<private> count: u32; // positions of them that some row sees

// Row of the span that a row of the tile is, or stands in for; the tile's rows go through the span for each head.
fn span_row(row: u32) -> u32 { return min(row % SPAN, span.rows - 1u); }

// Where a row and its head are, [T, heads].
fn place(row: u32) -> u32 { return (span.first + span_row(row)) * params.heads + first_head + row / SPAN; }

// Powers of two are the device's own.
fn query_at(row: u32, octet: u32) -> vec4u {
  let at = (span.first + span_row(row)) * (params.heads + 2u * params.kv_heads) + first_head + row / SPAN;
  let scale = LOG2_E / sqrt(f32(SIZE));
  return halves_of(qkv[at * 2u * OCTETS + 2u * octet] * scale, qkv[at * 2u * OCTETS + 2u * octet + 1u] * scale);
}

fn eight_at(i: u32) -> u32 { return (cached + min(i / OCTETS, count - 1u)) * QUADS + i % OCTETS * 2u; }

fn keys_at(i: u32) -> Eight {
  let at = eight_at(i);
  return Eight(keys[at], keys[at + 1u]);
}

fn values_at(i: u32) -> Eight {
  let at = eight_at(i);
  return Eight(values[at], values[at + 1u]);
}

// Scores of positions that the row sees.
fn scores_of(i: u32, position: u32, last: u32) -> vec4f {
  let positions = position + 4u * (part * TEAM_QUADS + i) + vec4u(0u, 1u, 2u, 3u);
  if (i >= TEAM_QUADS) { return vec4f(LOWEST); }
  return select(vec4f(LOWEST), own(i), positions <= vec4u(last));
}

fn channels_at(pair: u32, i: u32) -> u32 { return place(row) * 2u * OCTETS + (pair * KEYS / 4u + part * TEAM_QUADS + i); }

fn sums_before(subgroup: u32, pair: u32) -> Pair {
  for (var i = 0u; i < TEAM_QUADS; i++) { held[own_at(i)] = bitcast<vec4u>(out[channels_at(pair, i)]); }
  workgroupBarrier();
  let sums = Pair(held_sums(subgroup, 0u), held_sums(subgroup, 1u));
  workgroupBarrier();
  return sums;
}

fn write_sums(subgroup: u32, pair: u32, first: Sum, second: Sum, scale: f32) {
  hold_sums(subgroup, first, second);
  workgroupBarrier();
  for (var i = 0u; i < TEAM_QUADS; i++) {
    if (row % SPAN < span.rows) { out[channels_at(pair, i)] = own(i) * scale; }
  }
  workgroupBarrier();
}

// Finds KEYS positions from `block` on, before `end`.
fn locate(pages: u32, block: u32, end: u32) {
  let page = step_page(pages, block / PAGE) - params.first;
  cached = (page * params.kv_heads + first_head / (params.heads / params.kv_heads)) * PAGE + block % PAGE;
  count = min(KEYS, end - block);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) own_lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let groups = params.heads / QUERIES;
  span = span_at(grid.x * grid.y / groups - 1u - flat(group, grid) / groups);
  first_head = flat(group, grid) % groups * QUERIES;
  if (span.rows == 0u) { return; }
  let progress_at = span.first * params.heads + first_head;
  if (lane == 0u) {
    done_pages = select(0u, progress[progress_at], params.begun > 0u);
    atomicStore(&outgrown[0], 0u);
  }
  let begin = workgroupUniformLoad(&done_pages);
  let pages = step_row(span.first).pages;
  let end = span.position + span.rows;
  let all = (end + PAGE - 1u) / PAGE;
  var through = begin; // wraps around for pages in a block before
  while (through < all && step_page(pages, through) - params.first < params.count) { through++; }
  if (lane == 0u) { progress[progress_at] = through; }
  if (through == begin) { return; }
  let stop = min(end, through * PAGE);
  let final_block = (stop - 1u) / KEYS * KEYS;
  row = subgroup * MATRIX_M + own_lane / TEAM_LANES;
  part = own_lane % TEAM_LANES;
  let last = span.position + span_row(row);

  for (var i = lane; i < TILE_ROWS * OCTETS; i += LANES) { held[i / OCTETS * PITCH + i % OCTETS] = query_at(i / OCTETS, i % OCTETS); }
  workgroupBarrier();
  let query0 = queries_at(subgroup, 0u);
  let query1 = queries_at(subgroup, 1u);
  let query2 = queries_at(subgroup, 2u);
  let query3 = queries_at(subgroup, 3u);
  let query4 = queries_at(subgroup, 4u);
  let query5 = queries_at(subgroup, 5u);
  let query6 = queries_at(subgroup, 6u);
  let query7 = queries_at(subgroup, 7u);
  workgroupBarrier();
  var m = LOWEST;
  var total = 0.0; // of this thread's positions
  var sums0 = Pair(Sum(), Sum());
  var sums1 = Pair(Sum(), Sum());
  var sums2 = Pair(Sum(), Sum());
  var sums3 = Pair(Sum(), Sum());
  if (begin > 0u) {
    let before = carry[place(row) * 16u + part];
    m = before.x;
    total = before.y;
    sums0 = sums_before(subgroup, 0u);
    if (SIZE > KEYS) { sums1 = sums_before(subgroup, 1u); }
    if (SIZE > 2u * KEYS) { sums2 = sums_before(subgroup, 2u); }
    if (SIZE > 3u * KEYS) { sums3 = sums_before(subgroup, 3u); }
  }
  locate(pages, begin * PAGE, end);
  var next_keys0: Eight;
  var next_values0: Eight;
  var next_keys1: Eight;
  var next_values1: Eight;
  var next_keys2: Eight;
  var next_values2: Eight;
  var next_keys3: Eight;
  var next_values3: Eight;
  next_keys0 = keys_at(lane);
  if (LOADS > 1u) { next_keys1 = keys_at(lane + 1u * LANES); }
  if (LOADS > 2u) { next_keys2 = keys_at(lane + 2u * LANES); }
  if (LOADS > 3u) { next_keys3 = keys_at(lane + 3u * LANES); }
  next_values0 = values_at(lane);
  if (LOADS > 1u) { next_values1 = values_at(lane + 1u * LANES); }
  if (LOADS > 2u) { next_values2 = values_at(lane + 2u * LANES); }
  if (LOADS > 3u) { next_values3 = values_at(lane + 3u * LANES); }
  hold(0u, lane, next_keys0);
  if (LOADS > 1u) { hold(0u, lane + 1u * LANES, next_keys1); }
  if (LOADS > 2u) { hold(0u, lane + 2u * LANES, next_keys2); }
  if (LOADS > 3u) { hold(0u, lane + 3u * LANES, next_keys3); }
  hold(VALUES_AT, lane, next_values0);
  if (LOADS > 1u) { hold(VALUES_AT, lane + 1u * LANES, next_values1); }
  if (LOADS > 2u) { hold(VALUES_AT, lane + 2u * LANES, next_values2); }
  if (LOADS > 3u) { hold(VALUES_AT, lane + 3u * LANES, next_values3); }
  locate(pages, min(begin * PAGE + KEYS, final_block), end);
  next_keys0 = keys_at(lane);
  if (LOADS > 1u) { next_keys1 = keys_at(lane + 1u * LANES); }
  if (LOADS > 2u) { next_keys2 = keys_at(lane + 2u * LANES); }
  if (LOADS > 3u) { next_keys3 = keys_at(lane + 3u * LANES); }
  next_values0 = values_at(lane);
  if (LOADS > 1u) { next_values1 = values_at(lane + 1u * LANES); }
  if (LOADS > 2u) { next_values2 = values_at(lane + 2u * LANES); }
  if (LOADS > 3u) { next_values3 = values_at(lane + 3u * LANES); }
  workgroupBarrier();
  for (var block = begin * PAGE; block < stop; block += KEYS) {
    let stage = block / KEYS % 2u;
    let other = (stage + 1u) % 2u;
    var scores0 = Sum();
    var scores1 = Sum();
    scores0 = subgroupMatrixMultiplyAccumulate(query0, key_columns(0u, 0u), scores0);
    scores1 = subgroupMatrixMultiplyAccumulate(query0, key_columns(1u, 0u), scores1);
    if (SIZE > 1u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query1, key_columns(0u, 1u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query1, key_columns(1u, 1u), scores1);
    }
    if (SIZE > 2u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query2, key_columns(0u, 2u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query2, key_columns(1u, 2u), scores1);
    }
    if (SIZE > 3u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query3, key_columns(0u, 3u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query3, key_columns(1u, 3u), scores1);
    }
    if (SIZE > 4u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query4, key_columns(0u, 4u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query4, key_columns(1u, 4u), scores1);
    }
    if (SIZE > 5u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query5, key_columns(0u, 5u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query5, key_columns(1u, 5u), scores1);
    }
    if (SIZE > 6u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query6, key_columns(0u, 6u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query6, key_columns(1u, 6u), scores1);
    }
    if (SIZE > 7u * MATRIX_K) {
      scores0 = subgroupMatrixMultiplyAccumulate(query7, key_columns(0u, 7u), scores0);
      scores1 = subgroupMatrixMultiplyAccumulate(query7, key_columns(1u, 7u), scores1);
    }
    hold_sums(subgroup, scores0, scores1);
    workgroupBarrier(); // behind which keys may be replaced
    if (lane == 0u) { atomicStore(&outgrown[other], 0u); }
    hold(0u, lane, next_keys0);
    if (LOADS > 1u) { hold(0u, lane + 1u * LANES, next_keys1); }
    if (LOADS > 2u) { hold(0u, lane + 2u * LANES, next_keys2); }
    if (LOADS > 3u) { hold(0u, lane + 3u * LANES, next_keys3); }
    let own0 = scores_of(0u, block, last);
    let own1 = scores_of(1u, block, last);
    let own2 = scores_of(2u, block, last);
    let own3 = scores_of(3u, block, last);
    let largest = largest_of_team(max(max(largest_in(own0), largest_in(own1)), max(largest_in(own2), largest_in(own3))));
    let before = m;
    if (largest >= m + MARGIN) { m = ceil(largest); }
    let factor = power_down(m - before);
    if (m > before && before > LOWEST) { atomicStore(&outgrown[stage], 1u); }
    total = total * factor + hold_weights(0u, own0, own1, m);
    if (TEAM_QUADS > 2u) { total += hold_weights(2u, own2, own3, m); }
    hold(VALUES_AT + other * KEYS * PITCH, lane, next_values0);
    if (LOADS > 1u) { hold(VALUES_AT + other * KEYS * PITCH, lane + 1u * LANES, next_values1); }
    if (LOADS > 2u) { hold(VALUES_AT + other * KEYS * PITCH, lane + 2u * LANES, next_values2); }
    if (LOADS > 3u) { hold(VALUES_AT + other * KEYS * PITCH, lane + 3u * LANES, next_values3); }
    workgroupBarrier();
    locate(pages, min(block + 2u * KEYS, final_block), end);
    next_keys0 = keys_at(lane);
    if (LOADS > 1u) { next_keys1 = keys_at(lane + 1u * LANES); }
    if (LOADS > 2u) { next_keys2 = keys_at(lane + 2u * LANES); }
    if (LOADS > 3u) { next_keys3 = keys_at(lane + 3u * LANES); }
    next_values0 = values_at(lane);
    if (LOADS > 1u) { next_values1 = values_at(lane + 1u * LANES); }
    if (LOADS > 2u) { next_values2 = values_at(lane + 2u * LANES); }
    if (LOADS > 3u) { next_values3 = values_at(lane + 3u * LANES); }
    if (atomicLoad(&outgrown[stage]) > 0u) {
      sums0 = scaled_sums(subgroup, sums0.first, sums0.second, factor);
      if (SIZE > KEYS) { sums1 = scaled_sums(subgroup, sums1.first, sums1.second, factor); }
      if (SIZE > 2u * KEYS) { sums2 = scaled_sums(subgroup, sums2.first, sums2.second, factor); }
      if (SIZE > 3u * KEYS) { sums3 = scaled_sums(subgroup, sums3.first, sums3.second, factor); }
    }
    {
      let weights = weights_at(subgroup, 0u);
      sums0.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 0u), sums0.first);
      sums0.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 1u), sums0.second);
      if (SIZE > 1u * KEYS) {
        sums1.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 2u), sums1.first);
        sums1.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 3u), sums1.second);
      }
      if (SIZE > 2u * KEYS) {
        sums2.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 4u), sums2.first);
        sums2.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 5u), sums2.second);
      }
      if (SIZE > 3u * KEYS) {
        sums3.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 6u), sums3.first);
        sums3.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 0u, 7u), sums3.second);
      }
    }
    if (KEYS > MATRIX_K) {
      let weights = weights_at(subgroup, 1u);
      sums0.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 0u), sums0.first);
      sums0.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 1u), sums0.second);
      if (SIZE > 1u * KEYS) {
        sums1.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 2u), sums1.first);
        sums1.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 3u), sums1.second);
      }
      if (SIZE > 2u * KEYS) {
        sums2.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 4u), sums2.first);
        sums2.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 5u), sums2.second);
      }
      if (SIZE > 3u * KEYS) {
        sums3.first = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 6u), sums3.first);
        sums3.second = subgroupMatrixMultiplyAccumulate(weights, value_columns(stage, 1u, 7u), sums3.second);
      }
    }
  }
  workgroupBarrier(); // scores may still be being read
  var scale = 1.0;
  if (through == all) {
    scale = 1.0 / total_of_team(total);
  } else if (row % SPAN < span.rows) {
    carry[place(row) * 16u + part] = vec2f(m, total);
  }
  write_sums(subgroup, 0u, sums0.first, sums0.second, scale);
  if (SIZE > KEYS) { write_sums(subgroup, 1u, sums1.first, sums1.second, scale); }
  if (SIZE > 2u * KEYS) { write_sums(subgroup, 2u, sums2.first, sums2.second, scale); }
  if (SIZE > 3u * KEYS) { write_sums(subgroup, 3u, sums3.first, sums3.second, scale); }
}
