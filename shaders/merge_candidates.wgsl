// The PER_ROW largest logits of an output row, by falling logit, ties to the lower id, and ln Σ exp of the row.
// They lie in the PER_ROW blocks of the largest maxima (ties to the lower block): each of these has one that comes before all others.
// One workgroup of LANES per row selects blocks, then logits in them; KEYS: the most that it selects from, BLOCKS · or PER_ROW · BLOCK.

const LOWEST = -3.4e38;

struct Params {
  vocabulary: u32, // V
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, V]
@group(0) @binding(3) var<storage, read> sums: array<vec2f>; // [R, BLOCKS], of each block the largest m and Σ exp(logit - m)
@group(0) @binding(4) var<storage, read_write> ids: array<u32>; // [R, PER_ROW]
@group(0) @binding(5) var<storage, read_write> values: array<f32>; // [R, PER_ROW]
@group(0) @binding(6) var<storage, read_write> log_sum_exp: array<f32>; // [R]

var<workgroup> keys: array<u32, KEYS>;
var<workgroup> kept: array<u32, PER_ROW>; // indices of the keys kept, rising

fn key_at(i: u32) -> u32 { return keys[i]; }

fn keep(position: u32, i: u32) { kept[position] = i; }

// Also makes keys of the blocks' maxima.
fn write_log_sum_exp(lane: Lane, r: u32) {
  var own = vec2f(LOWEST, 0.0); // largest so far, and the sum below it
  for (var i = lane.index; i < BLOCKS; i += LANES) {
    let block = sums[r * BLOCKS + i];
    keys[i] = ordered_key(block.x);
    let larger = max(own.x, block.x);
    own = vec2f(larger, own.y * exp(own.x - larger) + block.y * exp(block.x - larger));
  }
  let largest = max_lanes(lane, own.x);
  let total = sum_lanes(lane, own.y * exp(own.x - largest));
  if (lane.index == 0u) { log_sum_exp[r] = largest + log(total); }
}

// The token of the i-th logit of the blocks kept.
fn token_at(i: u32) -> u32 { return kept_blocks[i / BLOCK] * BLOCK + i % BLOCK; }

var<workgroup> kept_blocks: array<u32, PER_ROW>;

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let r = flat(group, grid);
  if (r >= step_outputs()) { return; }
  write_log_sum_exp(lane, r);
  let blocks = min(PER_ROW, BLOCKS);
  select_largest(lane, BLOCKS, blocks);
  for (var i = lane.index; i < blocks; i += LANES) { kept_blocks[i] = kept[i]; }
  workgroupBarrier();
  for (var i = lane.index; i < blocks * BLOCK; i += LANES) {
    let token = token_at(i);
    var key = 0u; // past the vocabulary
    if (token < params.vocabulary) { key = ordered_key(logits[r * params.vocabulary + token]); }
    keys[i] = key;
  }
  select_largest(lane, blocks * BLOCK, PER_ROW);
  for (var i = lane.index; i < PER_ROW; i += LANES) {
    let key = keys[kept[i]];
    var rank = 0u;
    for (var other = 0u; other < PER_ROW; other++) {
      let rival = keys[kept[other]];
      rank += u32(rival > key || (rival == key && other < i));
    }
    let token = token_at(kept[i]);
    ids[r * PER_ROW + rank] = token;
    values[r * PER_ROW + rank] = logits[r * params.vocabulary + token];
  }
}
