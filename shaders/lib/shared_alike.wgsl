// Weights of a shared expert that are stored as those of the routed experts are.

alias shared_piece = piece;
alias shared_factor = factor;
alias SharedPieces = Pieces;

fn shared_factor_at(block: u32) -> u32 { return factor_at(block); }

fn shared_fours(held: SharedPieces, j: u32) -> mat4x4f { return fours(held, j); }

fn shared_weighed(products: vec4f, total: f32, held: SharedPieces, blocks: vec4u) -> vec4f {
  return weighed(products, total, held.factors, blocks);
}
