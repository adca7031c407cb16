// Weights that wait in workgroup memory as f32, their factors applied.

alias held4 = vec4f;

fn held_of(codes: weight4, i: u32) -> held4 { return load_weight4(codes, i); }

fn held_scaled(codes: weight4, i: u32, packed: factor, block: u32) -> held4 {
  return scaled(load_weight4(codes, i), packed, block);
}

fn opened(held: held4) -> vec4f { return held; }
