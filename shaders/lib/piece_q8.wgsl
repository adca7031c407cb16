// Weights of weight_q8.wgsl in pieces of sixteen neighbours of a row, which share their scale: one load, and one factor for all.

alias piece = vec4u;
alias factor4 = vec4u; // of four rows

const PIECE = 4u; // vec4s
const MINIMA = false;

fn codes_of(held: piece, j: u32) -> vec4f { return load_weight4(held[j], j); }

// What the products with codes of four rows are with the weights themselves; `total` is the sum of what they were multiplied with.
fn weighed(products: vec4f, total: f32, factors: factor4, blocks: vec4u) -> vec4f {
  let own = factors >> (16u * (blocks & vec4u(1u)));
  return products * vec4f(unpack2x16float(own.x).x, unpack2x16float(own.y).x, unpack2x16float(own.z).x, unpack2x16float(own.w).x);
}
