// states[c, h] = Σ_b exp(g(n-1-b)) k_b ⊗ v_b over the n rows of chunk c: what a chunk adds to a head's state (spec c.6).
// One workgroup of LANES per chunk of at most SPAN rows and head; a thread sums up 4 × 4 channels, or up to 8 × 8.
// SIZE: channels of a head, D, at most 128.

const_assert ACROSS == 16u && DOWN == 16u && SIZE <= 128u;

const CHANNELS4 = SIZE / 4u;
const SLAB = 16u; // rows held at once

struct Params {
  heads: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> decay: array<f32>; // [heads, SPAN + 1], exp(g n)
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>; // [chunks, heads, D(k), D(v)]

var<workgroup> key_slab: array<vec4f, SLAB * CHANNELS4>;
var<workgroup> value_slab: array<vec4f, SLAB * CHANNELS4>;

// A column for each of four channels of k.
fn add_product(sums: mat4x4f, k: vec4f, v: vec4f) -> mat4x4f {
  return mat4x4f(fma(v, k.xxxx, sums[0]), fma(v, k.yyyy, sums[1]), fma(v, k.zzzz, sums[2]), fma(v, k.wwww, sums[3]));
}

fn write(first: u32, k4: u32, v4: u32, sums: mat4x4f) {
  if (k4 >= CHANNELS4 || v4 >= CHANNELS4) { return; }
  let to = first + 4u * k4 * CHANNELS4 + v4;
  states[to] = sums[0];
  states[to + CHANNELS4] = sums[1];
  states[to + 2u * CHANNELS4] = sums[2];
  states[to + 3u * CHANNELS4] = sums[3];
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let chunk = flat(group, grid) / params.heads;
  let head = flat(group, grid) % params.heads;
  let span = span_at(chunk);
  if (span.rows == 0u) { return; }
  let at = thread_at(lane);
  var sums00 = mat4x4f();
  var sums01 = mat4x4f();
  var sums10 = mat4x4f();
  var sums11 = mat4x4f();
  for (var base = 0u; base < span.rows; base += SLAB) {
    let held = min(SLAB, span.rows - base);
    workgroupBarrier(); // the rows before may still be being read
    for (var i = lane; i < held * CHANNELS4; i += LANES) {
      let row = base + i / CHANNELS4;
      let key = (((span.first + row) * 3u + 1u) * params.heads + head) * CHANNELS4 + i % CHANNELS4;
      key_slab[i] = decay[head * (SPAN + 1u) + span.rows - 1u - row] * qkv[key];
      value_slab[i] = qkv[key + params.heads * CHANNELS4];
    }
    workgroupBarrier();
    for (var b = 0u; b < held; b++) {
      let k0 = key_slab[b * CHANNELS4 + at.y];
      let v0 = value_slab[b * CHANNELS4 + at.x];
      sums00 = add_product(sums00, k0, v0);
      if (CHANNELS4 > 16u) {
        let k1 = key_slab[b * CHANNELS4 + at.y + 16u];
        let v1 = value_slab[b * CHANNELS4 + at.x + 16u];
        sums01 = add_product(sums01, k0, v1);
        sums10 = add_product(sums10, k1, v0);
        sums11 = add_product(sums11, k1, v1);
      }
    }
  }
  let first = (chunk * params.heads + head) * SIZE * CHANNELS4;
  write(first, at.y, at.x, sums00);
  if (CHANNELS4 > 16u) {
    write(first, at.y, at.x + 16u, sums01);
    write(first, at.y + 16u, at.x, sums10);
    write(first, at.y + 16u, at.x + 16u, sums11);
  }
}
