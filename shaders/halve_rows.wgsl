// halves[r] = x[r] / scales[r] as f16, for kernels that multiply in it: scales[r] is the power of two that brings row r's largest magnitude
// to 2^14 … 2^15, so that none becomes infinite, and what is lost of the small ones is small beside it.
// One workgroup of LANES per row of COLUMNS vec4s. Rows are PER_ROW for each of the step's.

@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [R, K]
@group(0) @binding(2) var<storage, read_write> halves: array<vec2u>; // [R, K]
@group(0) @binding(3) var<storage, read_write> scales: array<f32>; // [R]

const BIAS = 127u; // of an f32's exponent
const TOP = 14u; // exponent of the largest

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let row = flat(group, grid);
  if (row >= step_rows() * PER_ROW) { return; }
  var most = vec4f();
  for (var i = lane.index; i < COLUMNS; i += LANES) { most = max(most, abs(x[row * COLUMNS + i])); }
  let largest = max_lanes(lane, max(max(most.x, most.y), max(most.z, most.w)));
  let exponent = max(bitcast<u32>(largest) >> 23u, TOP + 1u);
  let inverse = bitcast<f32>((2u * BIAS + TOP - exponent) << 23u);
  for (var i = lane.index; i < COLUMNS; i += LANES) {
    let values = x[row * COLUMNS + i] * inverse;
    halves[row * COLUMNS + i] = vec2u(pack2x16float(values.xy), pack2x16float(values.zw));
  }
  if (lane.index == 0u) { scales[row] = bitcast<f32>((exponent - TOP) << 23u); }
}
