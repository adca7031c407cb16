// hidden[t] += Σ_k weight[k] · down[e] · (silu(gate[e] · n) ⊙ (up[e] · n)) over the experts e that are chosen for row t, and a shared expert's,
// n = norm(hidden[t]): software_route, software_gate_up and software_down.wgsl in one. For devices that compute on a CPU in one thread, where
// workgroups follow each other anyway and a barrier within one costs nothing beside a dispatch.
// One workgroup of LANES per row (lib/row.wgsl). The weights are of one type that has no factors.
// INNER: I / 16; SHARED_INNER: I' / 16, 0 without a shared expert.

struct Params {
  scale: f32, // of the experts' weights
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> hidden: array<f32x8>; // [T, H]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [H]
@group(0) @binding(4) var<storage, read> map: array<weight16>; // [EXPERTS, H]
@group(0) @binding(5) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(6) var<storage, read> gate: array<weight16>; // [EXPERTS, I, H]
@group(0) @binding(7) var<storage, read> up: array<weight16>; // [EXPERTS, I, H]
@group(0) @binding(8) var<storage, read> down: array<weight16>; // [EXPERTS, H, I]
@group(0) @binding(9) var<storage, read> shared_gate: array<weight16>; // [I', H]
@group(0) @binding(10) var<storage, read> shared_up: array<weight16>; // [I', H]
@group(0) @binding(11) var<storage, read> shared_down: array<weight16>; // [H, I']

const MAP = 0u;
const GATE = 1u;
const UP = 2u;
const DOWN = 3u;
const SHARED_GATE = 4u;
const SHARED_UP = 5u;
const SHARED_DOWN = 6u;

const WIDTH = 16u * STRIPS;
const ROUTED = PER_TOKEN * INNER; // strips
const ALL = ROUTED + SHARED_INNER;
const HELD = max(STRIPS, ALL);
const LANDED = max(max(WIDTH, EXPERTS), 32u * ALL);

fn weights_at(matrix: u32, i: u32) -> Strip {
  if (matrix == MAP) { return load_weight16(map[i]); }
  if (matrix == GATE) { return load_weight16(gate[i]); }
  if (matrix == UP) { return load_weight16(up[i]); }
  if (matrix == DOWN) { return load_weight16(down[i]); }
  if (matrix == SHARED_GATE) { return load_weight16(shared_gate[i]); }
  if (matrix == SHARED_UP) { return load_weight16(shared_up[i]); }
  return load_weight16(shared_down[i]);
}

// All chosen experts' ways back are one matrix to lib/row.wgsl, side by side.
fn weight_index(matrix: u32, expert: u32, s: u32) -> u32 {
  if (matrix == DOWN) { return chosen[s / INNER] * WIDTH * INNER + s % INNER; }
  return expert * 16u * INNER * STRIPS + s;
}

// Leaves what the router thinks of each expert in `scores`.
fn fill_logits(lane: u32) {
  multiply(lane, MAP, 0u, 0u, STRIPS, STRIPS, EXPERTS, 0u, false);
  workgroupBarrier();
  for (var e = lane; e < EXPERTS; e += LANES) { scores[e] = landed[e]; }
}

// Leaves gate · n and, behind those of all experts, up · n.
fn fill_inner(lane: u32) {
  for (var k = 0u; k < PER_TOKEN; k++) {
    multiply(lane, GATE, chosen[k], 0u, STRIPS, STRIPS, 16u * INNER, 16u * k * INNER, false);
    multiply(lane, UP, chosen[k], 0u, STRIPS, STRIPS, 16u * INNER, 16u * (ALL + k * INNER), false);
  }
  if (SHARED_INNER > 0u) {
    multiply(lane, SHARED_GATE, 0u, 0u, STRIPS, STRIPS, 16u * SHARED_INNER, 16u * ROUTED, false);
    multiply(lane, SHARED_UP, 0u, 0u, STRIPS, STRIPS, 16u * SHARED_INNER, 16u * (ALL + ROUTED), false);
  }
  workgroupBarrier();
}

// Holds silu(gate · n) ⊙ (up · n) as it counts.
fn hold_activated(lane: u32, divisor: f32) {
  for (var s = lane; s < ALL; s += LANES) {
    var weight = 1.0;
    if (s < ROUTED) { weight = scores[chosen[s / INNER]] / divisor * params.scale; }
    let gate_strip = landed_strip(16u * s);
    let x = gated(times(gate_strip, landed_strip(16u * (ALL + s))), gate_strip);
    hold(s, scaled_by(x, weight));
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (t >= step_rows()) { return; }
  hold_normed(lane, t);
  fill_logits(lane);
  let divisor = choose_experts(lane);
  fill_inner(lane);
  hold_activated(lane, divisor);
  multiply(lane, DOWN, 0u, 0u, ROUTED, INNER, WIDTH, 0u, false);
  if (SHARED_INNER > 0u) { multiply(lane, SHARED_DOWN, 0u, ROUTED, SHARED_INNER, SHARED_INNER, WIDTH, 0u, true); }
  add_landed(lane, t);
}
