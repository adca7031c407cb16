// Strips of weights of 8 bits.

alias weight16 = vec4u;

fn load_weight16(packed: weight16) -> Strip {
  return Strip(
    load_weight4(packed.x, 0u),
    load_weight4(packed.y, 1u),
    load_weight4(packed.z, 2u),
    load_weight4(packed.w, 3u),
  );
}
