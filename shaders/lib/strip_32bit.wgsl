// Strips of weights of 32 bits.

alias weight16 = mat4x4f;

fn load_weight16(packed: weight16) -> Strip { return Strip(packed[0], packed[1], packed[2], packed[3]); }
