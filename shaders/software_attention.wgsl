// Softmax attention of few rows over the positions of one unit, as in softmax_attention.wgsl. For devices that compute on a CPU, where
// 8 · LANES divides D.
// One workgroup of LANES per unit (lib/units.wgsl), row, QUERIES heads, 1 to 4, that share a kv head, and slice of 8 · LANES channels of
// their values. LANES positions at a time, online softmax: each lane has a key to itself and takes the queries from the others, then it has
// eight channels of all their values to itself and takes the weights; nothing is added up across lanes but the weights in the end.
// SIZE: channels of a head, D; ROW: octets of a cached row.

const OCTETS = SIZE / 8u;
const SLICES = OCTETS / LANES;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  kv_heads: u32,
  first: u32, // page of the block
  count: u32, // pages of the block
  first_row: u32, // of those that go together
  rows: u32, // how many these are at most [B]
  units: u32, // the most units of a row [U]
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32x8>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read> keys: array<cached8>; // [pages, kv_heads, PAGE, ROW]
@group(0) @binding(4) var<storage, read> values: array<cached8>; // [pages, kv_heads, PAGE, ROW]
@group(0) @binding(5) var<storage, read_write> carry: array<vec2f>; // [B, U, heads], m and the sum of the weights
@group(0) @binding(6) var<storage, read_write> sums: array<vec4f>; // [B, U, heads, D]

// An octet of each head.
struct Heads {
  first: Octet,
  second: Octet,
  third: Octet,
  fourth: Octet,
}

fn query_at(i: u32) -> Octet { return scaled8(octet_at(qkv[i]), 1.0 / sqrt(f32(SIZE))); }

fn queries_at(i: u32) -> Heads {
  var all = Heads();
  all.first = query_at(i);
  if (QUERIES > 1u) { all.second = query_at(i + OCTETS); }
  if (QUERIES > 2u) { all.third = query_at(i + 2u * OCTETS); }
  if (QUERIES > 3u) { all.fourth = query_at(i + 3u * OCTETS); }
  return all;
}

// The products of a key's octet with those of the queries that another lane holds.
fn products(queries: Heads, lane: u32, key: Octet) -> vec4f {
  var all = vec4f(dot8(octet_of(queries.first, lane), key), 0.0, 0.0, 0.0);
  if (QUERIES > 1u) { all.y = dot8(octet_of(queries.second, lane), key); }
  if (QUERIES > 2u) { all.z = dot8(octet_of(queries.third, lane), key); }
  if (QUERIES > 3u) { all.w = dot8(octet_of(queries.fourth, lane), key); }
  return all;
}

fn faded(all: Heads, fade: vec4f) -> Heads {
  return Heads(
    scaled8(all.first, fade.x),
    scaled8(all.second, fade.y),
    scaled8(all.third, fade.z),
    scaled8(all.fourth, fade.w),
  );
}

fn add(all: ptr<function, Heads>, value: Octet, weight: vec4f) {
  (*all).first = plus8((*all).first, scaled8(value, weight.x));
  if (QUERIES > 1u) { (*all).second = plus8((*all).second, scaled8(value, weight.y)); }
  if (QUERIES > 2u) { (*all).third = plus8((*all).third, scaled8(value, weight.z)); }
  if (QUERIES > 3u) { (*all).fourth = plus8((*all).fourth, scaled8(value, weight.w)); }
}

fn store(head: u32, o: u32, sum: Octet) {
  let at = 2u * (head * OCTETS + o);
  sums[at] = sum.low;
  sums[at + 1u] = sum.high;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let rows = min(params.rows, step_rows() - params.first_row);
  let sets = params.heads / QUERIES;
  let slice = flat(group, grid) % SLICES * LANES; // its first octet
  let index = flat(group, grid) / SLICES;
  let head = index % sets * QUERIES;
  let row = index / sets % rows;
  let unit = index / sets / rows;
  let at = step_row(params.first_row + row);
  let size = unit_size(at.position + 1u);
  let begin = unit * size;
  if (begin > at.position) { return; }
  let page = step_page(at.pages, begin / PAGE) - params.first; // wraps around if it is in a block before
  if (page >= params.count) { return; }

  let kv_head = head / (params.heads / params.kv_heads);
  let first = (page * params.kv_heads + kv_head) * PAGE + begin % PAGE; // cached row
  let last = first + min(size - 1u, at.position - begin);
  let q = ((params.first_row + row) * (params.heads + 2u * params.kv_heads) + head) * OCTETS + lane;
  var queries = queries_at(q);
  var largest = vec4f(LOWEST);
  var total = vec4f(); // of this lane's positions
  var sum = Heads();
  for (var tile = first; tile <= last; tile += LANES) {
    let key = min(tile + lane, last) * ROW; // past the last row that one stands in
    var scores = vec4f();
    for (var o = 0u; o < OCTETS; o += LANES) {
      if (SLICES > 1u) { queries = queries_at(q + o); }
      for (var j = 0u; j < LANES; j++) { scores += products(queries, j, cached_octet(keys[key + o + j])); }
    }
    let before = largest;
    largest = max(before, subgroupMax(scores));
    let fade = exp(before - largest);
    let weights = select(vec4f(), exp(scores - largest), tile + lane <= last);
    total = total * fade + weights;
    sum = faded(sum, fade);
    for (var j = 0u; j < min(LANES, last + 1u - tile); j++) {
      add(&sum, cached_octet(values[(tile + j) * ROW + slice + lane]), subgroupShuffle(weights, j));
    }
  }
  let whole = subgroupAdd(total);
  let to = (row * params.units + unit) * params.heads + head;
  let o = slice + lane;
  store(to, o, sum.first);
  if (QUERIES > 1u) { store(to + 1u, o, sum.second); }
  if (QUERIES > 2u) { store(to + 2u, o, sum.third); }
  if (QUERIES > 3u) { store(to + 3u, o, sum.fourth); }
  if (o == 0u) {
    carry[to] = vec2f(largest.x, whole.x);
    if (QUERIES > 1u) { carry[to + 1u] = vec2f(largest.y, whole.y); }
    if (QUERIES > 2u) { carry[to + 2u] = vec2f(largest.z, whole.z); }
    if (QUERIES > 3u) { carry[to + 3u] = vec2f(largest.w, whole.w); }
  }
}
