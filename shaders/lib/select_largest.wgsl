// Calls keep(position, i) for the `wanted` largest of key_at(0 … count - 1), in the order of i; equal keys go by lower i.
// One workgroup of LANES; four passes of 8 bits through a histogram find the smallest key kept.

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec2u; // bin of the smallest key kept; how many are to be kept out of that bin
var<workgroup> counts: array<vec2u, LANES>; // keys above the smallest kept, keys equal to it, of each lane's stretch

// u32 ordered as the floats are; larger than 0 for all but one kind of NaN.
fn ordered_key(x: f32) -> u32 {
  let bits = bitcast<u32>(select(x, 0.0, x == 0.0)); // -0 equals 0
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}

fn select_largest(lane: u32, count: u32, wanted: u32) {
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
fn find_bin(lane: u32, count: u32, shift: u32, prefix: u32, left: u32) {
  for (var bin = lane; bin < 256u; bin += LANES) { atomicStore(&histogram[bin], 0u); }
  workgroupBarrier();
  for (var i = lane; i < count; i += LANES) {
    let key = key_at(i) >> shift;
    if (key >> 8u == prefix) { atomicAdd(&histogram[key & 255u], 1u); }
  }
  workgroupBarrier();
  if (lane == 0u) {
    var bin = 255u;
    var remaining = left;
    var inside = atomicLoad(&histogram[bin]);
    while (inside < remaining && bin > 0u) {
      remaining -= inside;
      bin -= 1u;
      inside = atomicLoad(&histogram[bin]);
    }
    found = vec2u(bin, remaining);
  }
  workgroupBarrier();
}

// Keeps the keys above `smallest` and the first `equals` that equal it. Each lane goes through one stretch of keys.
fn keep_from(lane: u32, count: u32, smallest: u32, equals: u32) {
  let stretch = (count + LANES - 1u) / LANES;
  let begin = min(lane * stretch, count);
  let end = min(begin + stretch, count);
  var own = vec2u();
  for (var i = begin; i < end; i++) {
    let key = key_at(i);
    own += vec2u(u32(key > smallest), u32(key == smallest));
  }
  counts[lane] = own;
  workgroupBarrier();
  var before = vec2u();
  for (var other = 0u; other < lane; other++) { before += counts[other]; }
  for (var i = begin; i < end; i++) {
    let key = key_at(i);
    if (key > smallest || (key == smallest && before.y < equals)) { keep(before.x + min(before.y, equals), i); }
    before += vec2u(u32(key > smallest), u32(key == smallest));
  }
  workgroupBarrier();
}
