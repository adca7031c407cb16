// From what each chunk adds to a head's state to the state before each chunk: S' = exp(g n) S + added, over a segment's chunks in
// their order (spec c.6); the state after the last one goes to the segment's place.
// One thread for every four value channels of a segment, head and key channel; workgroups of LANES share a head.

struct Params {
  heads: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> decay: array<f32>; // [heads, SPAN + 1], exp(g n)
@group(0) @binding(3) var<storage, read_write> states: array<vec4f>; // [chunks, heads, D(k), D(v)]
@group(0) @binding(4) var<storage, read_write> state: array<vec4f>; // [places, heads, D(k), D(v)]

const STATE4 = SIZE * SIZE / 4u;
const SHARES = (STATE4 + LANES - 1u) / LANES;

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let at = flat(group, grid) % SHARES * LANES + lane;
  let head = flat(group, grid) / SHARES % params.heads;
  let index = flat(group, grid) / SHARES / params.heads;
  if (index >= step_segments() || at >= STATE4) { return; }
  let segment = step_segment(index);
  var chunk = 0u;
  for (var s = 0u; s < index; s++) { chunk += spans_of(step_segment(s).rows); }
  let homes = (segment.places * params.heads + head) * STATE4 + at;
  var sum = select(state[homes.x], vec4f(), segment.start == 0u);
  for (var done = 0u; done < segment.rows; done += SPAN) {
    let here = (chunk * params.heads + head) * STATE4 + at;
    let added = states[here];
    states[here] = sum;
    sum = fma(vec4f(decay[head * (SPAN + 1u) + min(SPAN, segment.rows - done)]), sum, added);
    chunk += 1u;
  }
  state[homes.y] = sum;
}
