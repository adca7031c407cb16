// Eight neighbouring weights of 16 bits.

alias weight8 = vec4u;

fn load_weight8(packed: weight8) -> mat2x4f { return mat2x4f(load_weight4(packed.xy, 0u), load_weight4(packed.zw, 0u)); }
