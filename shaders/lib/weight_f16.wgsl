// Weights stored as float16; the device need not know the type.

alias weight4 = vec2u;

fn load_weight4(packed: weight4) -> vec4f { return vec4f(unpack2x16float(packed.x), unpack2x16float(packed.y)); }
