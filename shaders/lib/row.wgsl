// One row that goes through several matrices in one workgroup of LANES, which shares out the columns of each as in software_product.wgsl.
// Kernels say what matrices there are: `weights_at(matrix, i)`, the i-th strip of one, and `weight_index(matrix, expert, s)`, where strip s of
// its first row lies. These are inlined, and a matrix is a constant to them.
// STRIPS: H / 16; HELD: strips of the longest input; LANDED: outputs that there are at once.

const CHUNK = 2u * LANES; // strips that the lanes have in registers

var<workgroup> held: array<f32x8, 2u * HELD>; // input of the matrices that come next
var<workgroup> landed: array<f32, LANDED>; // their outputs

fn held_strip(s: u32) -> Strip { return strip_at(held[2u * s], held[2u * s + 1u]); }

fn hold(s: u32, x: Strip) {
  held[2u * s] = packed8(x.a, x.b);
  held[2u * s + 1u] = packed8(x.c, x.d);
}

fn landed4(i: u32) -> vec4f { return vec4f(landed[i], landed[i + 1u], landed[i + 2u], landed[i + 3u]); }

fn landed_strip(i: u32) -> Strip { return Strip(landed4(i), landed4(i + 4u), landed4(i + 8u), landed4(i + 12u)); }

fn hidden_strip(t: u32, s: u32) -> Strip {
  let at = 2u * (t * STRIPS + s);
  return strip_at(hidden[at], hidden[at + 1u]);
}

// Holds norm(hidden[t]).
fn hold_normed(lane: u32, t: u32) {
  var squares = 0.0;
  for (var s = lane; s < STRIPS; s += LANES) {
    let x = hidden_strip(t, s);
    squares += dot16(x, x);
  }
  let scale = 1.0 / sqrt(subgroupAdd(squares) / f32(16u * STRIPS) + params.epsilon);
  for (var s = lane; s < STRIPS; s += LANES) {
    hold(s, scaled_by(times(hidden_strip(t, s), strip_at(norm[2u * s], norm[2u * s + 1u])), scale));
  }
  workgroupBarrier();
}

// A lane's strips s and s + LANES of an input, and where a matrix has what they meet in its first row.
struct Share {
  s: u32,
  low: Strip,
  high: Strip,
  low_index: u32,
  high_index: u32,
}

fn share_at(s: u32, matrix: u32, expert: u32, begin: u32, strips: u32) -> Share {
  let last = strips - 1u;
  var share = Share();
  share.s = s;
  share.low = held_strip(begin + min(s, last));
  share.low_index = weight_index(matrix, expert, min(s, last));
  share.high = held_strip(begin + min(s + LANES, last));
  share.high_index = weight_index(matrix, expert, min(s + LANES, last));
  return share;
}

// The share's part of an output. Lanes that have none load nothing.
fn product_of(share: Share, matrix: u32, row: u32, strips: u32) -> f32 {
  var sum = 0.0;
  if (strips % LANES == 0u || share.s < strips) { sum = dot16(share.low, weights_at(matrix, share.low_index + row)); }
  if (strips > LANES && (strips % CHUNK == 0u || share.s + LANES < strips)) {
    sum += dot16(share.high, weights_at(matrix, share.high_index + row));
  }
  return sum;
}

fn four_products(share: Share, matrix: u32, rows: vec4u, strips: u32) -> vec4f {
  return vec4f(
    product_of(share, matrix, rows.x, strips),
    product_of(share, matrix, rows.y, strips),
    product_of(share, matrix, rows.z, strips),
    product_of(share, matrix, rows.w, strips),
  );
}

// landed[to + n] = output n of a matrix whose rows have `strips`, or if `add` that more than it was, of the strips held from `begin` on.
// `stride`: strips from row to row.
fn multiply(lane: u32, matrix: u32, expert: u32, begin: u32, strips: u32, stride: u32, outputs: u32, to: u32, add: bool) {
  for (var first = 0u; first < strips; first += CHUNK) {
    let share = share_at(first + lane, matrix, expert, begin, strips);
    for (var n = 0u; n < outputs; n += 8u) {
      let rows = min(n + vec4u(0u, 1u, 2u, 3u), vec4u(outputs - 1u));
      let later = min(n + vec4u(4u, 5u, 6u, 7u), vec4u(outputs - 1u));
      let sum = sum_across(
        lane,
        four_products(share, matrix, rows * stride, strips),
        four_products(share, matrix, later * stride, strips),
      );
      let i = to + n + lane;
      if (n + lane >= outputs) { continue; }
      if (add || first > 0u) {
        landed[i] += sum;
      } else {
        landed[i] = sum;
      }
    }
  }
}

// hidden[t] += landed
fn add_landed(lane: u32, t: u32) {
  workgroupBarrier();
  for (var s = lane; s < STRIPS; s += LANES) {
    let at = 2u * (t * STRIPS + s);
    let sum = plus(hidden_strip(t, s), landed_strip(16u * s));
    hidden[at] = packed8(sum.a, sum.b);
    hidden[at + 1u] = packed8(sum.c, sum.d);
  }
}
