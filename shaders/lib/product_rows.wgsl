// Products of up to ROWS rows of x with four outputs, and the rows' sums of squares, as one lane adds them up over its columns.
// ROWS: 1 or 4. The kernel says what a row's input is: input.

// Steps whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const UNROLL = select(select(1u, 2u, COLUMNS % (2u * LANES) == 0u), 4u, COLUMNS % (4u * LANES) == 0u);

// Of each row: the products with the four outputs.
var<private> sums0: vec4f;
var<private> sums1: vec4f;
var<private> sums2: vec4f;
var<private> sums3: vec4f;
var<private> squares: vec4f; // of four rows

// Σ x² over columns 4i … 4i + 3, for each of four rows.
fn squares_at(sources: vec4u, i: u32) -> vec4f {
  let a = x[sources.x + i];
  if (ROWS == 1u) { return vec4f(dot(a, a), 0.0, 0.0, 0.0); }
  let b = x[sources.y + i];
  let c = x[sources.z + i];
  let d = x[sources.w + i];
  return vec4f(dot(a, a), dot(b, b), dot(c, c), dot(d, d));
}

// 1 over the root of the mean square of `count` elements.
fn to_scales(sums: vec4f, count: u32) -> vec4f { return 1.0 / sqrt(sums / f32(count) + params.epsilon); }

// w holds the weights at columns 4i … 4i + 3.
fn add_products(sources: vec4u, i: u32, w: mat4x4f) {
  if (NORM) { squares += squares_at(sources, i); }
  sums0 += input(sources.x, i, 0u) * w;
  if (ROWS > 1u) {
    sums1 += input(sources.y, i, 1u) * w;
    sums2 += input(sources.z, i, 2u) * w;
    sums3 += input(sources.w, i, 3u) * w;
  }
}
