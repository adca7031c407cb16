// Of each BLOCK logits of an output row: the PER_ROW largest in the order of their ids, the largest m, and Σ exp(logit - m).
// One workgroup of LANES per row and block.

const LOWEST = -3.4e38;
const NO_TOKEN = 0xffffffffu;

struct Params {
  vocabulary: u32, // V
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read_write> ids: array<u32>; // [R, blocks, PER_ROW], NO_TOKEN in a block of fewer
@group(0) @binding(4) var<storage, read_write> values: array<f32>; // [R, blocks, PER_ROW]
@group(0) @binding(5) var<storage, read_write> sums: array<vec2f>; // [R, blocks], m and the sum

var<private> first_logit: u32; // of the block, in logits
var<private> first_token: u32;
var<private> first_kept: u32; // of the block, in ids and values

fn key_at(i: u32) -> u32 { return ordered_key(logits[first_logit + i]); }

fn keep(position: u32, i: u32) {
  ids[first_kept + position] = first_token + i;
  values[first_kept + position] = logits[first_logit + i];
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let blocks = (params.vocabulary + BLOCK - 1u) / BLOCK;
  let index = flat(group, grid);
  let r = index / blocks;
  if (r >= step_outputs()) { return; }
  first_token = index % blocks * BLOCK;
  first_logit = r * params.vocabulary + first_token;
  first_kept = index * PER_ROW;
  let count = min(BLOCK, params.vocabulary - first_token);

  var own = LOWEST;
  for (var i = lane.index; i < count; i += LANES) { own = max(own, logits[first_logit + i]); }
  let largest = max_lanes(lane, own);
  var exponentials = 0.0;
  for (var i = lane.index; i < count; i += LANES) { exponentials += exp(logits[first_logit + i] - largest); }
  let total = sum_lanes(lane, exponentials);
  if (lane.index == 0u) { sums[index] = vec2f(largest, total); }

  let wanted = min(PER_ROW, count);
  for (var i = wanted + lane.index; i < PER_ROW; i += LANES) { ids[first_kept + i] = NO_TOKEN; }
  select_largest(lane.index, count, wanted);
}
