// Of each BLOCK logits of an output row the largest, m, and Σ exp(logit - m).
// One workgroup of LANES per row and four blocks, of which a row has BLOCKS. Eight reads of a lane are under way at once.

const LOWEST = -3.4e38;
const SETS = (BLOCKS + 3u) / 4u;

struct Params {
  vocabulary: u32, // V
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read_write> sums: array<vec2f>; // [R, BLOCKS], m and the sum

// The i-th logit of each of the four blocks from `begin` on, a token of row r; the lowest where a block has none.
fn logits4(r: u32, begin: u32, i: u32) -> vec4f {
  let tokens = begin + i + BLOCK * vec4u(0u, 1u, 2u, 3u);
  let at = r * params.vocabulary + min(tokens, vec4u(params.vocabulary - 1u));
  let values = vec4f(logits[at.x], logits[at.y], logits[at.z], logits[at.w]);
  return select(vec4f(LOWEST), values, (tokens < vec4u(params.vocabulary)) & vec4<bool>(i < BLOCK));
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  let r = index / SETS;
  if (r >= step_outputs()) { return; }
  let first = index % SETS * 4u;
  var own = vec4f(LOWEST); // largest so far
  var below = vec4f(); // and the sums below it
  for (var i = lane.index; i < BLOCK; i += 2u * LANES) {
    let near = logits4(r, first * BLOCK, i);
    let far = logits4(r, first * BLOCK, i + LANES);
    let larger = max(own, max(near, far));
    below = below * exp(own - larger) + exp(near - larger) + exp(far - larger);
    own = larger;
  }
  let largest = max_lanes4(lane, own);
  let totals = sum_lanes4(lane, below * exp(own - largest));
  let j = lane.index;
  if (j < 4u && first + j < BLOCKS) { sums[r * BLOCKS + first + j] = vec2f(largest[j], totals[j]); }
}
