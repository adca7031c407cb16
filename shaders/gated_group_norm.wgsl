// out = weight ⊙ o / sqrt(mean(o²) + epsilon) ⊙ sigmoid(gate), the mean over each of `groups` equal pieces of a row (spec c.7), in place.
// One workgroup of LANES per row and group.

struct Params {
  groups: u32,
  size: u32, // channels of a group
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [groups, size]
@group(0) @binding(3) var<storage, read> gate: array<f32>; // [T, groups, size]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [T, groups, size]

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = flat(group, grid);
  if (index / params.groups >= step_rows()) { return; }
  let base = index * params.size;
  var squares = 0.0;
  for (var i = lane.index; i < params.size; i += LANES) { squares += out[base + i] * out[base + i]; }
  let scale = 1.0 / sqrt(sum_lanes(lane, squares) / f32(params.size) + params.epsilon);
  let source = index % params.groups * params.size;
  for (var i = lane.index; i < params.size; i += LANES) {
    out[base + i] = out[base + i] * scale * weight[source + i] * sigmoid(gate[base + i]);
  }
}
