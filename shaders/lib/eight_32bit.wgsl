// Eight neighbouring weights of 32 bits.

alias weight8 = mat2x4f;

fn load_weight8(packed: weight8) -> mat2x4f { return packed; }
