// Weights of a shared expert that are stored as those of the routed experts are.

alias shared4 = weight4;
alias shared_factor = factor;

fn shared4_at(i: u32) -> u32 { return weight4_at(i); }

fn load_shared4(packed: shared4, i: u32) -> vec4f { return load_weight4(packed, i); }

fn shared_factor_at(block: u32) -> u32 { return factor_at(block); }

fn scaled_shared(codes: vec4f, packed: shared_factor, block: u32) -> vec4f { return scaled(codes, packed, block); }
