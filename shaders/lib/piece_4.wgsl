// Weights in pieces of four neighbours of a row.

alias piece = weight4;
alias factor4 = vec4f; // of four rows

const PIECE = 1u; // vec4s
const MINIMA = false;

fn codes_of(held: piece, j: u32) -> vec4f { return load_weight4(held, 0u); }

// What the products with codes of four rows are with the weights themselves; `total` is the sum of what they were multiplied with.
fn weighed(products: vec4f, total: f32, factors: factor4, blocks: vec4u) -> vec4f { return products * factors; }
