// Weights stored as signed bytes, in groups of 32 with a float16 scale.

alias weight4 = u32;
alias factor = u32; // of two groups

fn weight4_at(i: u32) -> u32 { return i; }

// The code + 128 in the lowest bits of an f32 from 2^23 on, less what that adds: exact, where converting integers is slow on GPUs.
fn load_weight4(packed: weight4, i: u32) -> vec4f {
  let bytes = (vec4u(packed ^ 0x80808080u) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  return bitcast<vec4f>(bytes | vec4u(0x4b000000u)) - 8388736.0;
}

fn factor_at(block: u32) -> u32 { return block / 2u; }

fn scaled(codes: vec4f, packed: factor, block: u32) -> vec4f {
  let scales = unpack2x16float(packed);
  return codes * select(scales.x, scales.y, (block & 1u) == 1u);
}
