// Linear attention row by row, as in decode_linear_attention.wgsl. For devices that compute on a CPU, where 8 · LANES divides D and 8 divides
// half.
// One workgroup of LANES per segment, head and slice of 8 · LANES value channels (lib/recurrence.wgsl).

struct Params {
  heads: u32,
  half: u32, // pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32x8>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> query_weight: array<vec4f>; // [D]
@group(0) @binding(4) var<storage, read> key_weight: array<vec4f>; // [D]
@group(0) @binding(5) var<storage, read> rope: array<vec4f>; // [context, 2, half]
@group(0) @binding(6) var<storage, read> decay: array<f32>; // [heads], exp(g)
@group(0) @binding(7) var<storage, read_write> state: array<f32x8>; // [places, heads, D(k), D(v)]
@group(0) @binding(8) var<storage, read_write> out: array<f32x8>; // [T, heads, D]

fn channels(row: u32, which: u32, head: u32, o: u32) -> Octet {
  return activated(octet_at(qkv[((row * 3u + which) * params.heads + head) * OCTETS + o]));
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let slices = OCTETS / LANES;
  let own = flat(group, grid) % slices * LANES + lane; // octet of the value channels
  let head = flat(group, grid) / slices % params.heads;
  let index = flat(group, grid) / slices / params.heads;
  if (index >= step_segments()) { return; }
  let segment = step_segment(index);
  let bases = (segment.places * params.heads + head) * SIZE * OCTETS + own;
  for (var r = 0u; r < segment.rows; r++) {
    let row = segment.first + r;
    let o = recurrence(lane, row, segment.start + r, head, own, vec2u(select(bases.y, bases.x, r == 0u), bases.y));
    out[(row * params.heads + head) * OCTETS + own] = packed8(o.low, o.high);
  }
}
