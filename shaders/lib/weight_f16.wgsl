// Weights stored as float16; the device need not know the type.

alias weight4 = vec2u;

fn weight4_at(i: u32) -> u32 { return i; }

fn load_weight4(packed: weight4, i: u32) -> vec4f {
  return vec4f(unpack2x16float(packed.x), unpack2x16float(packed.y));
}
