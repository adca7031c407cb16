// One f32 for each block of weights.

alias factor = f32;

fn factor_at(block: u32) -> u32 { return block; }

fn scaled(codes: vec4f, block_factor: factor, block: u32) -> vec4f { return codes * block_factor; }
