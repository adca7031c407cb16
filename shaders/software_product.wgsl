// out[r, n] = y[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound;
// y as in decode_product.wgsl. For devices that compute on a CPU, whose K is a multiple of 16 · GROUPS.
// One workgroup of LANES per SHARE outputs and ROWS rows. The lanes share out the columns and keep their strips of y while they go through
// the weight row by row, eight at a time: memory is read in its order, and few loads are not of weights.
// ROWS: 1 or 4. STRIPS: K / 16. KEPT: ROWS · SHARE, or 1 where all strips are held at once. OUTPUTS: rows are the step's outputs. BIAS: there is one. SCALED: the weight has factors.
// PAIR: after the workgroups of this weight come those of another, of the same input and stored alike, in one part and without bias.

struct Params {
  outputs: u32, // N
  first: u32, // row of the part
  count: u32, // rows of the part
  other_outputs: u32,
  epsilon: f32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<f32x8>; // [T, K]
@group(0) @binding(3) var<storage, read> norm: array<f32x8>; // [K]
@group(0) @binding(4) var<storage, read> gate: array<f32x8>; // [T, K]
@group(0) @binding(5) var<storage, read> weight: array<weight16>; // [N, K]
@group(0) @binding(6) var<storage, read> factors: array<factor>; // [N / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(7) var<storage, read> bias: array<f32>; // [N]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [T, N]
@group(0) @binding(9) var<storage, read> other_weight: array<weight16>; // [N', K]
@group(0) @binding(10) var<storage, read> other_factors: array<factor>; // [N' / BLOCK_ROWS, K / BLOCK_COLUMNS]
@group(0) @binding(11) var<storage, read_write> other_out: array<f32>; // [T, N']

const CHUNK = 2u * LANES; // strips that the lanes hold at once
const GROUP_STRIPS = STRIPS / GROUPS; // that a norm is over

var<workgroup> scales: array<f32, ROWS * GROUPS>;
var<workgroup> landed: array<f32, KEPT>; // sums of the chunks so far

fn source_row(row: u32) -> u32 {
  if (OUTPUTS) { return step_output(row); }
  return row;
}

// Strip s of x; if there is none, something that no weight will meet.
fn strip_of_x(source: u32, s: u32) -> Strip {
  let at = 2u * (source * STRIPS + s);
  return strip_at(x[at], x[at + 1u]);
}

// What a norm multiplies by, from the squares that each lane has added up.
fn scale_of(squares: f32) -> f32 { return 1.0 / sqrt(subgroupAdd(squares) / f32(16u * GROUP_STRIPS) + params.epsilon); }

// Leaves the norms' scales where rows are too long to be held at once.
fn fill_scales(lane: u32, r: u32, source: u32) {
  for (var g = 0u; g < GROUPS; g++) {
    let begin = g * GROUP_STRIPS;
    var squares = 0.0;
    for (var s = begin / LANES * LANES + lane; s < begin + GROUP_STRIPS; s += LANES) {
      let held = strip_of_x(source, s);
      if (s >= begin) { squares += dot16(held, held); }
    }
    let scale = scale_of(squares);
    if (lane == 0u) { scales[r * GROUPS + g] = scale; }
  }
}

// The scales of a lane's two strips.
fn scales_at(r: u32, s: u32, low: Strip, high: Strip) -> vec2f {
  let groups = vec2u(s, s + LANES) / GROUP_STRIPS;
  if (STRIPS > CHUNK) { return vec2f(scales[r * GROUPS + groups.x], scales[r * GROUPS + groups.y]); }
  let squares = vec2f(dot16(low, low), dot16(high, high));
  var found = vec2f();
  for (var g = 0u; g < GROUPS; g++) {
    let own = select(vec2f(), squares, groups == vec2u(g));
    found = select(found, vec2f(scale_of(own.x + own.y)), groups == vec2u(g));
  }
  return found;
}

struct Pair {
  low: Strip,
  high: Strip,
}

fn finished(y: Strip, source: u32, s: u32, scale: f32) -> Strip {
  let normed = scaled_by(times(y, strip_at(norm[2u * s], norm[2u * s + 1u])), scale);
  if (!GATED) { return normed; }
  let at = 2u * (source * STRIPS + s);
  return gated(normed, strip_at(gate[at], gate[at + 1u]));
}

// Strips s and s + LANES of y.
fn input(r: u32, source: u32, s: u32) -> Pair {
  let low = strip_of_x(source, s);
  let high = strip_of_x(source, s + LANES);
  if (!NORM && !GATED) { return Pair(low, high); }
  let scales = scales_at(r, s, low, high);
  return Pair(finished(low, source, s, scales.x), finished(high, source, s + LANES, scales.y));
}

// A lane's strips of four rows, or of one.
struct Inputs {
  first: Pair,
  second: Pair,
  third: Pair,
  fourth: Pair,
}

fn inputs_at(sources: vec4u, s: u32) -> Inputs {
  var y = Inputs();
  y.first = input(0u, sources.x, s);
  if (ROWS > 1u) {
    y.second = input(1u, sources.y, s);
    y.third = input(2u, sources.z, s);
    y.fourth = input(3u, sources.w, s);
  }
  return y;
}

fn weights16(n: u32, s: u32) -> Strip {
  let codes = load_weight16(weight[n * STRIPS + s]);
  if (!SCALED) { return codes; }
  let block = factor_index(n + params.first, 4u * s, 4u * STRIPS);
  return scaled16(codes, factors[factor_at(block)], block);
}

fn other_weights16(n: u32, s: u32) -> Strip {
  let codes = load_weight16(other_weight[n * STRIPS + s]);
  if (!SCALED) { return codes; }
  let block = factor_index(n, 4u * s, 4u * STRIPS);
  return scaled16(codes, other_factors[factor_at(block)], block);
}

fn weights_of(n: u32, s: u32, of_other: bool) -> Strip {
  if (PAIR && of_other) { return other_weights16(n, s); }
  return weights16(n, s);
}

// What the lane's strips add to an output, row by row. Lanes that have none load nothing.
fn products_of(y: Inputs, n: u32, s: u32, of_other: bool) -> vec4f {
  var sums = vec4f();
  if (STRIPS % LANES == 0u || s < STRIPS) {
    let w = weights_of(n, s, of_other);
    sums.x = dot16(y.first.low, w);
    if (ROWS > 1u) { sums = vec4f(sums.x, dot16(y.second.low, w), dot16(y.third.low, w), dot16(y.fourth.low, w)); }
  }
  if (STRIPS > LANES && (STRIPS % CHUNK == 0u || s + LANES < STRIPS)) {
    let w = weights_of(n, s + LANES, of_other);
    sums.x += dot16(y.first.high, w);
    if (ROWS > 1u) { sums += vec4f(0.0, dot16(y.second.high, w), dot16(y.third.high, w), dot16(y.fourth.high, w)); }
  }
  return sums;
}

// `n` counts the outputs of the part.
fn store(row: u32, n: u32, sum: f32, of_other: bool) {
  if (PAIR && of_other) {
    other_out[row * params.other_outputs + n] = sum;
    return;
  }
  let at = row * params.outputs + params.first + n;
  var value = sum;
  if (BIAS) { value += bias[params.first + n]; }
  if (ADD) { value += out[at]; }
  out[at] = value;
}

// Shares of a lane in eight outputs of four rows, or of one.
struct Sums {
  low: mat4x4f, // of each row, outputs 0 to 3
  high: mat4x4f,
}

fn eight_products(y: Inputs, n: u32, last: u32, s: u32, of_other: bool) -> Sums {
  return Sums(
    transpose(
      mat4x4f(
        products_of(y, n, s, of_other),
        products_of(y, min(n + 1u, last), s, of_other),
        products_of(y, min(n + 2u, last), s, of_other),
        products_of(y, min(n + 3u, last), s, of_other),
      ),
    ),
    transpose(
      mat4x4f(
        products_of(y, min(n + 4u, last), s, of_other),
        products_of(y, min(n + 5u, last), s, of_other),
        products_of(y, min(n + 6u, last), s, of_other),
        products_of(y, min(n + 7u, last), s, of_other),
      ),
    ),
  );
}

// Adds output n of a row to that of the chunks before, and stores it behind the last of them.
fn finish(row: u32, kept: u32, n: u32, first: u32, products: f32, of_other: bool) {
  var sum = products;
  if (first > 0u) { sum += landed[kept]; }
  if (first + CHUNK < STRIPS) {
    landed[kept] = sum;
  } else {
    store(row, n, sum, of_other);
  }
}

// What a workgroup does, of this weight or of the other one: its outputs from `begin` on, of `count`.
fn run(lane: u32, row: u32, rows: u32, begin: u32, count: u32, of_other: bool) {
  // Past the last row: the last one again, and its sums are dropped.
  let last = rows - 1u;
  let sources = vec4u(source_row(row), source_row(min(row + 1u, last)), source_row(min(row + 2u, last)), source_row(min(row + 3u, last)));
  if ((NORM || GATED) && STRIPS > CHUNK) {
    for (var r = 0u; r < ROWS; r++) { fill_scales(lane, r, sources[r]); }
    workgroupBarrier();
  }
  for (var first = 0u; first < STRIPS; first += CHUNK) {
    let s = first + lane;
    let y = inputs_at(sources, s);
    for (var i = lane; i < SHARE; i += 8u) {
      let n = begin + i;
      if (n - lane >= count) { break; }
      let sums = eight_products(y, n - lane, count - 1u, s, of_other);
      let sum0 = sum_across(lane, sums.low[0], sums.high[0]);
      if (n < count) { finish(row, i, n, first, sum0, of_other); }
      if (ROWS > 1u) {
        let sum1 = sum_across(lane, sums.low[1], sums.high[1]);
        let sum2 = sum_across(lane, sums.low[2], sums.high[2]);
        let sum3 = sum_across(lane, sums.low[3], sums.high[3]);
        if (n < count && row + 1u < rows) { finish(row + 1u, SHARE + i, n, first, sum1, of_other); }
        if (n < count && row + 2u < rows) { finish(row + 2u, 2u * SHARE + i, n, first, sum2, of_other); }
        if (n < count && row + 3u < rows) { finish(row + 3u, 3u * SHARE + i, n, first, sum3, of_other); }
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let rows = select(step_rows(), step_outputs(), OUTPUTS);
  // Neighbouring workgroups take the same weights to other rows.
  let row_tiles = (rows + ROWS - 1u) / ROWS;
  let row = flat(group, grid) % row_tiles * ROWS;
  let index = flat(group, grid) / row_tiles;
  let shares = (params.count + SHARE - 1u) / SHARE;
  if (PAIR && index >= shares) {
    run(lane, row, rows, (index - shares) * SHARE, params.other_outputs, true);
  } else {
    run(lane, row, rows, index * SHARE, params.count, false);
  }
}
