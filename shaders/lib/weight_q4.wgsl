// Weights stored as half bytes, in groups of 32 with a float16 scale and a float16 minimum.

alias weight4 = u32; // eight of them
alias factor = u32;

fn weight4_at(i: u32) -> u32 { return i / 2u; }

fn load_weight4(packed: weight4, i: u32) -> vec4f {
  return vec4f((vec4u(packed) >> (vec4u(0u, 4u, 8u, 12u) + 16u * (i & 1u))) & vec4u(15u));
}

fn factor_at(block: u32) -> u32 { return block; }

fn scaled(codes: vec4f, packed: factor, block: u32) -> vec4f {
  let pair = unpack2x16float(packed);
  return codes * pair.x + pair.y;
}
