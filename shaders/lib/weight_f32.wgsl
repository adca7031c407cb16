// Weights stored as f32.

alias weight4 = vec4f;

fn load_weight4(packed: weight4) -> vec4f { return packed; }
