// Weights stored as half bytes, in groups of 32 with a float16 scale and a float16 minimum.

alias weight4 = u32; // eight of them
alias factor = u32;

fn weight4_at(i: u32) -> u32 { return i / 2u; }

// 16 + code: a code in the upper bits of the fraction of an f32 between 16 and 32, as converting integers is slow on GPUs.
fn load_weight4(packed: weight4, i: u32) -> vec4f {
  let codes = vec4u(packed >> (16u * (i & 1u)));
  let bits = (codes << vec4u(19u, 15u, 11u, 7u)) & vec4u(15u << 19u);
  return bitcast<vec4f>(bits | vec4u(0x41800000u));
}

fn factor_at(block: u32) -> u32 { return block; }

fn scaled(codes: vec4f, packed: factor, block: u32) -> vec4f {
  let pair = unpack2x16float(packed);
  return (codes - 16.0) * pair.x + pair.y;
}
