// Calls keep(position, i) for the `wanted` largest of key_at(0 … count - 1), in the order of i; equal keys go by lower i.
// One workgroup of LANES; four passes of 8 bits through a histogram find the smallest key kept. `count` is below 65,536.

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec2u; // bin of the smallest key kept; how many are to be kept out of that bin

// u32 ordered as the floats are; larger than 0 for all but one kind of NaN.
fn ordered_key(x: f32) -> u32 {
  let bits = bitcast<u32>(select(x, 0.0, x == 0.0)); // -0 equals 0
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}

fn select_largest(lane: Lane, count: u32, wanted: u32) {
  var smallest = 0u;
  var left = wanted;
  for (var shift = 24i; shift >= 0i; shift -= 8i) {
    find_bin(lane, count, u32(shift), smallest, left);
    smallest = (smallest << 8u) | found.x;
    left = found.y;
  }
  keep_from(lane, count, smallest, left);
}

// Finds the bin of bits `shift` … `shift` + 7 that holds the `left`-th largest of the keys that begin with `prefix`.
// Each lane has a stretch of bins, the first lane the highest.
fn find_bin(lane: Lane, count: u32, shift: u32, prefix: u32, left: u32) {
  for (var bin = lane.index; bin < 256u; bin += LANES) { atomicStore(&histogram[bin], 0u); }
  workgroupBarrier();
  for (var i = lane.index; i < count; i += LANES) {
    let key = key_at(i) >> shift;
    if (key >> 8u == prefix) { atomicAdd(&histogram[key & 255u], 1u); }
  }
  workgroupBarrier();
  let stretch = (255u + LANES) / LANES;
  let begin = min(256u, lane.index * stretch);
  let end = min(256u, begin + stretch);
  var own = 0u;
  for (var i = begin; i < end; i++) { own += atomicLoad(&histogram[255u - i]); }
  var above = sum_before(lane, own);
  for (var i = begin; i < end; i++) {
    let inside = atomicLoad(&histogram[255u - i]);
    if (above < left && left <= above + inside) { found = vec2u(255u - i, left - above); }
    above += inside;
  }
  workgroupBarrier();
}

// Keeps the keys above `smallest` and the first `equals` that equal it. Each lane goes through one stretch of keys.
fn keep_from(lane: Lane, count: u32, smallest: u32, equals: u32) {
  let stretch = (count + LANES - 1u) / LANES;
  let begin = min(lane.index * stretch, count);
  let end = min(begin + stretch, count);
  var own = 0u; // keys above the smallest, and in the upper half those equal to it
  for (var i = begin; i < end; i++) {
    let key = key_at(i);
    own += select(0u, 1u, key > smallest) + select(0u, 0x10000u, key == smallest);
  }
  let before = sum_before(lane, own);
  var larger = before & 0xffffu;
  var equal = before >> 16u;
  for (var i = begin; i < end; i++) {
    let key = key_at(i);
    if (key > smallest || (key == smallest && equal < equals)) { keep(larger + min(equal, equals), i); }
    larger += u32(key > smallest);
    equal += u32(key == smallest);
  }
  workgroupBarrier();
}
