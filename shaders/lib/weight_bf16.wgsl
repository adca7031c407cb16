// Weights stored as bfloat16, the upper half of an f32.

alias weight4 = vec2u;

fn weight4_at(i: u32) -> u32 { return i; }

fn load_weight4(packed: weight4, i: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(packed.x << 16u, packed.x & 0xffff0000u, packed.y << 16u, packed.y & 0xffff0000u));
}
