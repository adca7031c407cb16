// hidden[t] += Σ_k weights[t, k] · products[t, k], in the order of k; if BESIDE, then + beside[t], what a shared expert gives.
// One workgroup of LANES per row and LANES of its COLUMNS vec4s.

const SLICES = (COLUMNS + LANES - 1u) / LANES;

@group(0) @binding(1) var<storage, read> products: array<vec4f>; // [T, PER_ROW, H]
@group(0) @binding(2) var<storage, read> beside: array<vec4f>; // [T, H]
@group(0) @binding(3) var<storage, read> weights: array<f32>; // [T, PER_ROW]
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4f>; // [T, H]

// Four of a row's choices from k on; past the last one that one again.
fn choices_at(t: u32, k: u32) -> vec4u {
  return t * PER_ROW + min(k + vec4u(0u, 1u, 2u, 3u), vec4u(PER_ROW - 1u));
}

fn weights4(at: vec4u) -> vec4f { return vec4f(weights[at.x], weights[at.y], weights[at.z], weights[at.w]); }

// Their products' parts, a column each.
fn products4(at: vec4u, i: u32) -> mat4x4f {
  let places = at * COLUMNS + i;
  return mat4x4f(products[places.x], products[places.y], products[places.z], products[places.w]);
}

// By fma, as decode_down.wgsl adds them.
fn added(sum: vec4f, factors: vec4f, parts: mat4x4f, k: u32) -> vec4f {
  var result = sum;
  if (k < PER_ROW) { result = fma(vec4f(factors.x), parts[0], result); }
  if (k + 1u < PER_ROW) { result = fma(vec4f(factors.y), parts[1], result); }
  if (k + 2u < PER_ROW) { result = fma(vec4f(factors.z), parts[2], result); }
  if (k + 3u < PER_ROW) { result = fma(vec4f(factors.w), parts[3], result); }
  return result;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid) / SLICES;
  let i = flat(group, grid) % SLICES * LANES + lane;
  if (i >= COLUMNS) { return; }
  let rows = step_rows(); // is on its way while the products are
  var sum = hidden[t * COLUMNS + i];
  var last = vec4f();
  if (BESIDE) { last = beside[t * COLUMNS + i]; }
  // The reads of eight products are under way at once.
  for (var k = 0u; k < PER_ROW; k += 8u) {
    let near = choices_at(t, k);
    let far = choices_at(t, k + 4u);
    let near_weights = weights4(near);
    let far_weights = weights4(far);
    let near_products = products4(near, i);
    let far_products = products4(far, i);
    sum = added(sum, near_weights, near_products, k);
    sum = added(sum, far_weights, far_products, k + 4u);
  }
  if (BESIDE) { sum += last; }
  if (t < rows) { hidden[t * COLUMNS + i] = sum; }
}
