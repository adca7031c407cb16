// normed[i] = weight ⊙ h / sqrt(mean(h²) + epsilon), with h = hidden[i], or if OUTPUTS the hidden row of the i-th output (spec c.1).
// One workgroup of LANES per row.

struct Params {
  columns: u32, // H / 4
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> hidden: array<vec4f>; // [T, H]
@group(0) @binding(3) var<storage, read> weight: array<vec4f>; // [H]
@group(0) @binding(4) var<storage, read_write> normed: array<vec4f>; // [T, H], or [R, H]

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let row = flat(group, grid);
  if (row >= select(step_rows(), step_outputs(), OUTPUTS)) { return; }
  let source = select(row, step_output(row), OUTPUTS) * params.columns;
  var squares = vec4f();
  for (var i = lane.index; i < params.columns; i += LANES) { squares += hidden[source + i] * hidden[source + i]; }
  let total = sum_lanes4(lane, squares);
  let mean = (total.x + total.y + total.z + total.w) / f32(4u * params.columns);
  let scale = 1.0 / sqrt(mean + params.epsilon);
  for (var i = lane.index; i < params.columns; i += LANES) {
    normed[row * params.columns + i] = hidden[source + i] * scale * weight[i];
  }
}
