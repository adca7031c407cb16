// out[r, n] = Σ_s parts[s, r, n] + bias[n], or if ADD that more than it was: what gemm.wgsl leaves of several SPLITS of K, in their order.
// One workgroup of LANES per LANES · 4 elements. SPLITS: 1, 2, 4 or 8. OUTPUTS: rows are the step's outputs. BIAS: there is one.

const_assert SPLITS == 1u || SPLITS == 2u || SPLITS == 4u || SPLITS == 8u;

struct Params {
  columns: u32, // N / 4
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>; // [SPLITS, T, N]
@group(0) @binding(3) var<storage, read> bias: array<vec4f>; // [N]
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>; // [T, N]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let count = select(step_rows(), step_outputs(), OUTPUTS) * params.columns;
  let i = flat(group, grid) * LANES + lane;
  if (i >= count) { return; }
  var sum = parts[i];
  // Powers of two, in blocks that are read at once: a loop would wait for each.
  if (SPLITS > 1u) { sum += parts[count + i]; }
  if (SPLITS > 2u) { sum = sum + parts[2u * count + i] + parts[3u * count + i]; }
  if (SPLITS > 4u) {
    sum = sum + parts[4u * count + i] + parts[5u * count + i];
    sum = sum + parts[6u * count + i] + parts[7u * count + i];
  }
  if (BIAS) { sum += bias[i % params.columns]; }
  if (ADD) { sum += out[i]; }
  out[i] = sum;
}
