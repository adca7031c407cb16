// Choices of the step's one row as each workgroup makes them for itself out of the router's logits (choose.wgsl): that takes less time than
// to wait for a dispatch that makes them. One of the workgroups leaves them for the kernels that follow.

struct Choices {
  expert: u32,
  count: u32,
  at: vec2u,
}

@group(0) @binding(20) var<storage, read> logits: array<f32>; // [EXPERTS]
@group(0) @binding(21) var<storage, read> bias: array<f32>; // [EXPERTS]
@group(0) @binding(22) var<storage, read_write> ids: array<u32>; // [PER_TOKEN]
@group(0) @binding(23) var<storage, read_write> weights: array<f32>; // [PER_TOKEN]

fn choices_at(lane: Lane, index: u32, leaves_all: bool) -> Choices {
  choose_experts(lane.index, 0u);
  if (leaves_all) {
    let total = total_score();
    for (var k = lane.index; k < PER_TOKEN; k += LANES) {
      ids[k] = chosen[k];
      weights[k] = chosen_weight(k, total) * params.scale;
    }
  }
  return Choices(chosen[index], 1u, vec2u(index));
}
