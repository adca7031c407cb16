// ids[t] = the experts that row t goes to, weights[t] = what they are weighted with (lib/choose.wgsl).
// One workgroup of LANES per row.

struct Params {
  scale: f32, // of the weights
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [T, EXPERTS]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(4) var<storage, read_write> ids: array<u32>; // [T, PER_TOKEN]
@group(0) @binding(5) var<storage, read_write> weights: array<f32>; // [T, PER_TOKEN]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  let rows = step_rows(); // is on its way while the row is read
  choose_experts(lane, t);
  if (t >= rows) { return; }
  let total = total_score();
  for (var k = lane; k < PER_TOKEN; k += LANES) {
    ids[t * PER_TOKEN + k] = chosen[k];
    weights[t * PER_TOKEN + k] = chosen_weight(k, total) * params.scale;
  }
}
