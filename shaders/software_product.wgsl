// out[r, n] = y[r] · weight[n] + bias[n], or if ADD that more than it was, for the rows n in the part of the weight that is bound;
// y as in decode_product.wgsl. For devices that compute on a CPU, whose K is a multiple of 16 · GROUPS.
// One workgroup of LANES per LANE_ROWS · LANES outputs and ROWS rows. Each lane has rows of the weight to itself, and the
// lanes load a strip of y each for all: nothing is added up across lanes but the squares of a norm, and few loads are not of weights.
// ROWS: 1 or 4. LANE_ROWS: 8 if ROWS is 1, or else 4. OUTPUTS: rows are the step's outputs. BIAS: there is one. SCALED: the weight has factors.
// PAIR: after the workgroups of this weight come those of another, of the same input and stored alike, in one part and without bias.

struct Params {
  columns: u32, // K / 4
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

fn weights16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(weight[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, factors[factor_at(block)], block);
}

fn other_weights16(at: u32, block: u32) -> Strip {
  let codes = load_weight16(other_weight[at]);
  if (!SCALED) { return codes; }
  return scaled16(codes, other_factors[factor_at(block)], block);
}

// The weights of a tile's rows at columns 16i … 16i + 15.
fn weights(tile: Tile, i: u32, of_other: bool) -> FourStrips {
  let at = tile.rows * (params.columns / 4u) + i;
  let block = factor_indices(tile, 4u * i, params.columns);
  if (PAIR && of_other) {
    return FourStrips(
      other_weights16(at.x, block.x),
      other_weights16(at.y, block.y),
      other_weights16(at.z, block.z),
      other_weights16(at.w, block.w),
    );
  }
  return FourStrips(
    weights16(at.x, block.x),
    weights16(at.y, block.y),
    weights16(at.z, block.z),
    weights16(at.w, block.w),
  );
}

struct Input {
  y: Strip, // but for the scale of a norm
  squares: f32, // of x
}

fn gated(y: Strip, gate: Strip) -> Strip {
  return Strip(y.a / (1.0 + exp(-gate.a)), y.b / (1.0 + exp(-gate.b)), y.c / (1.0 + exp(-gate.c)), y.d / (1.0 + exp(-gate.d)));
}

// Columns 16i … 16i + 15 of a row; zeros if they are not wanted.
fn input(row: u32, i: u32, wanted: bool) -> Input {
  var y = Strip();
  var squares = 0.0;
  if (wanted) {
    let at = row * (params.columns / 2u) + 2u * i;
    y = strip_at(x[at], x[at + 1u]);
    if (NORM || GATED) {
      squares = dot16(y, y);
      y = times(y, strip_at(norm[2u * i], norm[2u * i + 1u]));
    }
    if (GATED) { y = gated(y, strip_at(gate[at], gate[at + 1u])); }
  }
  return Input(y, squares);
}

fn scale_of(squares: f32, count: u32) -> f32 {
  if (!NORM && !GATED) { return 1.0; }
  return 1.0 / sqrt(subgroupAdd(squares) / f32(count) + params.epsilon);
}

fn finish(row: u32, where_to: Target, sums: vec4f, of_other: bool) {
  let n = where_to.n;
  for (var j = 0u; j < 4u; j++) {
    if (!where_to.tile.inside[j]) { continue; }
    if (PAIR && of_other) {
      other_out[row * params.other_outputs + n[j]] = sums[j];
      continue;
    }
    let at = row * params.outputs + n[j];
    var value = sums[j];
    if (BIAS) { value += bias[n[j]]; }
    if (ADD) { value += out[at]; }
    out[at] = value;
  }
}

fn source_row(row: u32) -> u32 {
  if (OUTPUTS) { return step_output(row); }
  return row;
}

// A tile's rows of this weight or of the other one.
struct Target {
  n: vec4u,
  tile: Tile,
}

fn target_of(index: u32, lane: u32, i: u32, of_other: bool) -> Target {
  if (of_other) {
    let n = spread_rows(index * LANES + lane, i, params.other_outputs);
    return Target(n, tile_of(0u, n, params.other_outputs, 0u, params.other_outputs));
  }
  let n = params.first + spread_rows(index * LANES + lane, i, params.count);
  return Target(n, tile_of(0u, n, params.outputs, params.first, params.count));
}

// Adds the products of `count` strips that the lanes hold, from strip i on.
fn add_products(sums: ptr<function, vec4f>, held: Strip, tile: Tile, i: u32, count: u32, of_other: bool) {
  for (var j = 0u; j < count; j++) { *sums += products(strip_of(held, j), weights(tile, i + j, of_other)); }
}

// What a workgroup does, of this weight or of the other one. Devices that go through both sides of a condition leave the loops of the
// wrong one at once; a condition within them would cost them every time.
fn run(lane: u32, row: u32, rows: u32, index: u32, of_other: bool) {
  let target0 = target_of(index, lane, 0u, of_other);
  let target1 = target_of(index, lane, 1u, of_other);
  // Past the last row: the last one again, and its sums are dropped.
  let last = rows - 1u;
  let source0 = source_row(row);
  var source1 = 0u;
  var source2 = 0u;
  var source3 = 0u;
  if (ROWS > 1u) {
    source1 = source_row(min(row + 1u, last));
    source2 = source_row(min(row + 2u, last));
    source3 = source_row(min(row + 3u, last));
  }
  var sums0 = vec4f();
  var sums1 = vec4f(); // of the second row, or if there is one only of its second tile
  var sums2 = vec4f();
  var sums3 = vec4f();
  let size = params.columns / 4u / GROUPS; // strips that a norm is over
  for (var first = 0u; first < size * GROUPS; first += size) {
    var group0 = vec4f();
    var group1 = vec4f();
    var group2 = vec4f();
    var group3 = vec4f();
    var squares = vec4f();
    for (var i = first; i < first + size; i += LANES) {
      let wanted = i + lane < first + size;
      let count = min(LANES, first + size - i);
      let held0 = input(source0, i + lane, wanted);
      squares.x += held0.squares;
      if (ROWS == 1u) {
        add_products(&group0, held0.y, target0.tile, i, count, of_other);
        add_products(&group1, held0.y, target1.tile, i, count, of_other);
      } else {
        let held1 = input(source1, i + lane, wanted);
        let held2 = input(source2, i + lane, wanted);
        let held3 = input(source3, i + lane, wanted);
        squares += vec4f(0.0, held1.squares, held2.squares, held3.squares);
        for (var j = 0u; j < count; j++) {
          let w = weights(target0.tile, i + j, of_other);
          group0 += products(strip_of(held0.y, j), w);
          group1 += products(strip_of(held1.y, j), w);
          group2 += products(strip_of(held2.y, j), w);
          group3 += products(strip_of(held3.y, j), w);
        }
      }
    }
    let scale = scale_of(squares.x, 16u * size);
    sums0 += group0 * scale;
    if (ROWS == 1u) {
      sums1 += group1 * scale;
    } else {
      sums1 += group1 * scale_of(squares.y, 16u * size);
      sums2 += group2 * scale_of(squares.z, 16u * size);
      sums3 += group3 * scale_of(squares.w, 16u * size);
    }
  }
  finish(row, target0, sums0, of_other);
  if (ROWS == 1u) {
    finish(row, target1, sums1, of_other);
  } else {
    if (row + 1u < rows) { finish(row + 1u, target0, sums1, of_other); }
    if (row + 2u < rows) { finish(row + 2u, target0, sums2, of_other); }
    if (row + 3u < rows) { finish(row + 3u, target0, sums3, of_other); }
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
  let tiles = (params.count + LANE_ROWS * LANES - 1u) / (LANE_ROWS * LANES);
  if (PAIR && index >= tiles) {
    run(lane, row, rows, index - tiles, true);
  } else {
    run(lane, row, rows, index, false);
  }
}
