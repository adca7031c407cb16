// Strips of weights of 16 bits. A CPU pays for every component that is loaded, and no more for one of 64 bits.

alias weight16 = vec4<u64>;

fn load_four(packed: u64) -> vec4f { return load_weight4(vec2u(u32(packed), u32(packed >> 32u)), 0u); }

fn load_weight16(packed: weight16) -> Strip {
  return Strip(load_four(packed.x), load_four(packed.y), load_four(packed.z), load_four(packed.w));
}
