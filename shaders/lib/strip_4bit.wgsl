// Strips of weights of 4 bits.

alias weight16 = vec2u;

fn load_weight16(packed: weight16) -> Strip {
  return Strip(
    load_weight4(packed.x, 0u),
    load_weight4(packed.x, 1u),
    load_weight4(packed.y, 2u),
    load_weight4(packed.y, 3u),
  );
}
