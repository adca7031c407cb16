// hidden += dense · (groupNorm(o) ⊙ sigmoid(gate)), o from linear attention over qkv, and qkv and gate from norm(hidden): all that a layer does
// before its MLP, as software_product and software_linear_attention.wgsl do it for several rows. For devices that compute on a CPU in one
// thread, where workgroups follow each other anyway and a barrier within one costs nothing beside a dispatch.
// One workgroup of LANES per row, of which there is one (lib/row.wgsl). The weights are of one type that has no factors. WIDTH: heads · D; GROUPS: of its norm.

struct Params {
  half: u32, // pairs that are rotated
  query_epsilon: f32,
  key_epsilon: f32,
  epsilon: f32,
  group_epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> hidden: array<f32x8>; // [1, H]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [H]
@group(0) @binding(4) var<storage, read> qkv_map: array<weight16>; // [3 · heads · D, H]
@group(0) @binding(5) var<storage, read> gate_map: array<weight16>; // [heads · D, H]
@group(0) @binding(6) var<storage, read> dense: array<weight16>; // [H, heads · D]
@group(0) @binding(7) var<storage, read> query_weight: array<vec4f>; // [D]
@group(0) @binding(8) var<storage, read> key_weight: array<vec4f>; // [D]
@group(0) @binding(9) var<storage, read> rope: array<vec4f>; // [context, 2, half]
@group(0) @binding(10) var<storage, read> decay: array<f32>; // [heads], exp(g)
@group(0) @binding(11) var<storage, read_write> state: array<f32x8>; // [places, heads, D(k), D(v)]
@group(0) @binding(12) var<storage, read> group_norm: array<f32x8>; // [heads · D]

const QKV = 0u;
const GATE = 1u;
const DENSE = 2u;
const HEADS = WIDTH / SIZE;
const MIXED = WIDTH / 16u; // strips of o
const HELD = max(STRIPS, MIXED);
const LANDED = max(16u * STRIPS, 4u * WIDTH);

var<workgroup> qkv: array<f32x8, 3u * WIDTH / 8u>;

fn weights_at(matrix: u32, i: u32) -> Strip {
  if (matrix == QKV) { return load_weight16(qkv_map[i]); }
  if (matrix == GATE) { return load_weight16(gate_map[i]); }
  return load_weight16(dense[i]);
}

fn weight_index(matrix: u32, expert: u32, s: u32) -> u32 { return s; }

fn channels(row: u32, which: u32, head: u32, o: u32) -> Octet {
  return activated(octet_at(qkv[(which * HEADS + head) * OCTETS + o]));
}

// Moves q, k and v from where they landed.
fn gather_qkv(lane: u32) {
  workgroupBarrier();
  for (var o = lane; o < 3u * WIDTH / 8u; o += LANES) { qkv[o] = packed8(landed4(8u * o), landed4(8u * o + 4u)); }
  workgroupBarrier();
}

// Holds o.
fn attend(lane: u32) {
  let segment = step_segment(0u);
  for (var head = 0u; head < HEADS; head++) {
    for (var own = lane; own < OCTETS; own += LANES) {
      let bases = (segment.places * HEADS + head) * SIZE * OCTETS + own;
      let o = recurrence(lane, 0u, segment.start, head, own, bases);
      held[head * OCTETS + own] = packed8(o.low, o.high);
    }
  }
  workgroupBarrier();
}

// Puts what is held through the group norm and the gate that landed after q, k and v.
fn hold_gated(lane: u32) {
  let size = MIXED / GROUPS;
  for (var g = 0u; g < GROUPS; g++) {
    let begin = g * size;
    let aligned = begin / LANES * LANES + lane; // a strip is the same lane's as in software_product.wgsl
    var squares = 0.0;
    for (var s = aligned; s < begin + size; s += LANES) {
      let y = held_strip(s);
      if (s >= begin) { squares += dot16(y, y); }
    }
    let scale = 1.0 / sqrt(subgroupAdd(squares) / f32(16u * size) + params.group_epsilon);
    for (var s = aligned; s < begin + size; s += LANES) {
      if (s < begin) { continue; }
      let y = scaled_by(times(held_strip(s), strip_at(group_norm[2u * s], group_norm[2u * s + 1u])), scale);
      hold(s, gated(y, landed_strip(3u * WIDTH + 16u * s)));
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (step_rows() == 0u) { return; }
  hold_normed(lane, 0u);
  multiply(lane, QKV, 0u, 0u, STRIPS, STRIPS, 3u * WIDTH, 0u, false);
  multiply(lane, GATE, 0u, 0u, STRIPS, STRIPS, WIDTH, 3u * WIDTH, false);
  gather_qkv(lane);
  attend(lane);
  hold_gated(lane);
  multiply(lane, DENSE, 0u, 0u, MIXED, MIXED, 16u * STRIPS, 0u, false);
  add_landed(lane, 0u);
}
