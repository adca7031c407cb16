// Weights of weight_q4.wgsl in pieces of sixteen neighbours of a row, which share their scale and minimum: one load, and one factor for all.

alias piece = vec2u;
alias factor4 = vec4u; // of four rows

const PIECE = 4u; // vec4s
const MINIMA = true;

fn codes_of(held: piece, j: u32) -> vec4f { return load_weight4(held[j / 2u], j); }

// What the products with codes of four rows are with the weights themselves; `total` is the sum of what they were multiplied with.
fn weighed(products: vec4f, total: f32, factors: factor4, blocks: vec4u) -> vec4f {
  let pairs = mat4x2f(
    unpack2x16float(factors.x),
    unpack2x16float(factors.y),
    unpack2x16float(factors.z),
    unpack2x16float(factors.w),
  );
  let each = transpose(pairs);
  return products * each[0] + total * each[1];
}
