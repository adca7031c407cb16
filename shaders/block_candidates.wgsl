// Of each BLOCK logits of an output row the largest, m, and Σ exp(logit - m).
// One workgroup of LANES per row and block.

const LOWEST = -3.4e38;

struct Params {
  vocabulary: u32, // V
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read_write> sums: array<vec2f>; // [R, blocks], m and the sum

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let blocks = (params.vocabulary + BLOCK - 1u) / BLOCK;
  let index = flat(group, grid);
  let r = index / blocks;
  if (r >= step_outputs()) { return; }
  let begin = r * params.vocabulary + index % blocks * BLOCK;
  let end = min(begin + BLOCK, (r + 1u) * params.vocabulary);
  var own = LOWEST;
  for (var i = begin + lane.index; i < end; i += LANES) { own = max(own, logits[i]); }
  let largest = max_lanes(lane, own);
  var exponentials = 0.0;
  for (var i = begin + lane.index; i < end; i += LANES) { exponentials += exp(logits[i] - largest); }
  let total = sum_lanes(lane, exponentials);
  if (lane.index == 0u) { sums[index] = vec2f(largest, total); }
}
