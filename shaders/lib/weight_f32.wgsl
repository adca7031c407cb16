// Weights stored as f32.

alias weight4 = vec4f;

fn weight4_at(i: u32) -> u32 { return i; }

fn load_weight4(packed: weight4, i: u32) -> vec4f { return packed; }
