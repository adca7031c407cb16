// hidden[t] += Σ_k weights[t, k] · products[t, k], in the order of k.
// One workgroup of LANES per row.

struct Params {
  columns: u32, // H / 4
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> products: array<vec4f>; // [T, PER_ROW, H]
@group(0) @binding(3) var<storage, read> weights: array<f32>; // [T, PER_ROW]
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4f>; // [T, H]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (t >= step_rows()) { return; }
  for (var i = lane; i < params.columns; i += LANES) {
    var sum = hidden[t * params.columns + i];
    for (var k = 0u; k < PER_ROW; k++) {
      let choice = t * PER_ROW + k;
      sum = fma(vec4f(weights[choice]), products[choice * params.columns + i], sum);
    }
    hidden[t * params.columns + i] = sum;
  }
}
