// out[t, h] = Σ_s exp(m_s - m) sums[t, h, s] / Σ_s exp(m_s - m) total_s, the whole softmax of SPLITS spans, m being the largest m_s.
// One workgroup of LANES per row and head.

const LOWEST = -3.4e38;

@group(0) @binding(1) var<storage, read> carry: array<vec2f>; // [T, heads, SPLITS], m and total
@group(0) @binding(2) var<storage, read> sums: array<vec4f>; // [T, heads, SPLITS, CHANNELS4 · 4]
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>; // [T, heads, CHANNELS4 · 4]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let index = flat(group, grid);
  if (index >= step_rows() * HEADS) { return; }
  var largest = LOWEST;
  for (var s = 0u; s < SPLITS; s++) { largest = max(largest, carry[index * SPLITS + s].x); }
  for (var c = lane; c < CHANNELS4; c += LANES) {
    var total = 0.0;
    var sum = vec4f();
    for (var s = 0u; s < SPLITS; s++) {
      let span = carry[index * SPLITS + s];
      let weight = exp(span.x - largest);
      total += weight * span.y;
      sum += weight * sums[(index * SPLITS + s) * CHANNELS4 + c];
    }
    out[index * CHANNELS4 + c] = sum / total;
  }
}
