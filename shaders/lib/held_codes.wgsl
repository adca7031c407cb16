// Weights that wait in workgroup memory as they are stored, for types without factors.

alias held4 = weight4;

fn held_of(codes: weight4, i: u32) -> held4 { return codes; }

fn held_scaled(codes: weight4, i: u32, packed: factor, block: u32) -> held4 { return codes; }

fn opened(held: held4) -> vec4f { return load_weight4(held, 0u); }
