// Fills part of a tensor from a seed: f32, bf16 and f16 with values spread evenly about a centre, other types with any code
// that is a number. 16 bytes a thread. TYPE: 0 f32, 1 bf16, 2 f16, 3 f8_e4m3, 4 signed bytes, 5 half bytes.

struct Params {
  seed: u32,
  first: u32, // word of the tensor that the part begins with
  count: u32, // vec4u of the part
  spread: f32,
  centre: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4u>;

// PCG-RXS-M-XS, a permutation of the 32-bit numbers.
fn permute(x: u32) -> u32 {
  let state = x * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

fn value(drawn: u32) -> f32 { return params.centre + params.spread * (f32(drawn >> 8u) * 0x1p-23 - 1.0); }

fn bf16(x: f32) -> u32 { return bitcast<u32>(x) >> 16u; }

// 1 in the lowest bit of every byte whose bits are those of `code`, where `mask` has any.
fn bytes_equal(word: u32, mask: u32, code: u32) -> u32 {
  let other = (word ^ code) & mask;
  return ~((((other & 0x7f7f7f7fu) + 0x7f7f7f7fu) | other) >> 7u) & 0x01010101u;
}

fn word(index: u32) -> u32 {
  let drawn = permute(permute(index) ^ params.seed);
  if (TYPE == 0u) { return bitcast<u32>(value(drawn)); }
  if (TYPE == 3u) { return drawn ^ bytes_equal(drawn, 0x7f7f7f7fu, 0x7f7f7f7fu); } // ±0x7f is no number
  if (TYPE == 4u) { return drawn ^ bytes_equal(drawn, 0xffffffffu, 0x80808080u); } // -128 has no opposite
  if (TYPE == 5u) { return drawn; }
  let pair = vec2f(value(drawn), value(permute(drawn)));
  if (TYPE == 1u) { return bf16(pair.x) | (bf16(pair.y) << 16u); }
  return pack2x16float(pair);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.count) { return; }
  let at = params.first + 4u * i;
  out[i] = vec4u(word(at), word(at + 1u), word(at + 2u), word(at + 3u));
}
