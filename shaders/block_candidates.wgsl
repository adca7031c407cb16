// Of each BLOCK logits of an output row the largest, m, and Σ exp(logit - m).
// One workgroup of LANES per row and block, of which a row has BLOCKS. Two reads of a lane are under way at once.

const LOWEST = -3.4e38;

struct Params {
  vocabulary: u32, // V
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read_write> sums: array<vec2f>; // [R, BLOCKS], m and the sum

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  let r = index / BLOCKS;
  if (r >= step_outputs()) { return; }
  let begin = r * params.vocabulary + index % BLOCKS * BLOCK;
  let end = min(begin + BLOCK, (r + 1u) * params.vocabulary);
  var own = vec2f(LOWEST, 0.0); // largest so far, and the sum below it
  for (var i = begin + lane.index; i < end; i += 2u * LANES) {
    let first = logits[i];
    let second = select(LOWEST, logits[min(i + LANES, end - 1u)], i + LANES < end);
    let larger = max(own.x, max(first, second));
    own = vec2f(larger, own.y * exp(own.x - larger) + exp(first - larger) + exp(second - larger));
  }
  let largest = max_lanes(lane, own.x);
  let total = sum_lanes(lane, own.y * exp(own.x - largest));
  if (lane.index == 0u) { sums[index] = vec2f(largest, total); }
}
