// Eight neighbouring weights of 4 bits.

alias weight8 = u32;

fn load_weight8(packed: weight8) -> mat2x4f { return mat2x4f(load_weight4(packed, 0u), load_weight4(packed, 1u)); }
