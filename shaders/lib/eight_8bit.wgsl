// Eight neighbouring weights of 8 bits.

alias weight8 = vec2u;

fn load_weight8(packed: weight8) -> mat2x4f { return mat2x4f(load_weight4(packed.x, 0u), load_weight4(packed.y, 1u)); }
