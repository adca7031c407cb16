// The PER_ROW largest logits of an output row out of its blocks', by falling logit, ties to the lower id, and ln Σ exp of the row.
// One workgroup of LANES per row.

const LOWEST = -3.4e38;
const NO_TOKEN = 0xffffffffu;

struct Params {
  blocks: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> block_ids: array<u32>; // [R, blocks, PER_ROW]
@group(0) @binding(3) var<storage, read> block_values: array<f32>; // [R, blocks, PER_ROW]
@group(0) @binding(4) var<storage, read> block_sums: array<vec2f>; // [R, blocks]
@group(0) @binding(5) var<storage, read_write> ids: array<u32>; // [R, PER_ROW]
@group(0) @binding(6) var<storage, read_write> values: array<f32>; // [R, PER_ROW]
@group(0) @binding(7) var<storage, read_write> log_sum_exp: array<f32>; // [R]

var<private> first: u32; // of the row, in block_ids and block_values

var<workgroup> kept_ids: array<u32, PER_ROW>; // rising
var<workgroup> kept_values: array<f32, PER_ROW>;

fn key_at(i: u32) -> u32 {
  return select(ordered_key(block_values[first + i]), 0u, block_ids[first + i] == NO_TOKEN);
}

fn keep(position: u32, i: u32) {
  kept_ids[position] = block_ids[first + i];
  kept_values[position] = block_values[first + i];
}

fn write_log_sum_exp(lane: Lane, r: u32) {
  var own = LOWEST;
  for (var i = lane.index; i < params.blocks; i += LANES) { own = max(own, block_sums[r * params.blocks + i].x); }
  let largest = max_lanes(lane, own);
  var exponentials = 0.0;
  for (var i = lane.index; i < params.blocks; i += LANES) {
    let block = block_sums[r * params.blocks + i];
    exponentials += block.y * exp(block.x - largest);
  }
  let total = sum_lanes(lane, exponentials);
  if (lane.index == 0u) { log_sum_exp[r] = largest + log(total); }
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let r = flat(group, grid);
  if (r >= step_outputs()) { return; }
  first = r * params.blocks * PER_ROW;
  write_log_sum_exp(lane, r);
  select_largest(lane.index, params.blocks * PER_ROW, PER_ROW);
  for (var i = lane.index; i < PER_ROW; i += LANES) {
    let key = ordered_key(kept_values[i]);
    var rank = 0u;
    for (var other = 0u; other < PER_ROW; other++) {
      let rival = ordered_key(kept_values[other]);
      rank += u32(rival > key || (rival == key && other < i));
    }
    ids[r * PER_ROW + rank] = kept_ids[i];
    values[r * PER_ROW + rank] = kept_values[i];
  }
}
