// hidden[t, h] += Σ_k weights[t, k] · (x[t, k] · down[e, h]), e = ids[t, k], over the matrices' rows in the part that is bound;
// if SHARED also shared_x[t] · shared_down[h] (spec c.10).
// One workgroup of LANES per row and 4 outputs; its lanes share out all products of the row's choices.

struct Params {
  columns: u32, // I / 4
  outputs: u32, // H
  first: u32, // stacked row of the part
  count: u32, // stacked rows of the part
  shared_columns: u32, // I' / 4
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [T, PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<weight4>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> ids: array<u32>; // [T, PER_ROW]
@group(0) @binding(6) var<storage, read> weights: array<f32>; // [T, PER_ROW]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [T, H]
@group(0) @binding(8) var<storage, read> shared_x: array<vec4f>; // [T, I']
@group(0) @binding(9) var<storage, read> shared_down: array<weight4>; // [H, I']
@group(0) @binding(10) var<storage, read> shared_factors: array<factor>; // [H / BLOCK_ROWS, I' / BLOCK_COLUMNS]

fn downs4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(down[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

fn downs(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * params.columns + i;
  let block = factor_indices(tile, i, params.columns);
  return mat4x4f(downs4(at.x, block.x), downs4(at.y, block.y), downs4(at.z, block.z), downs4(at.w, block.w));
}

fn shared4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(shared_down[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, shared_factors[factor_at(block)], block);
}

fn shared_downs(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * params.shared_columns + i;
  let block = factor_indices(tile, i, params.shared_columns);
  return mat4x4f(shared4(at.x, block.x), shared4(at.y, block.y), shared4(at.z, block.z), shared4(at.w, block.w));
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let tiles = (params.outputs + 3u) / 4u;
  let t = flat(group, grid) / tiles;
  let h = flat(group, grid) % tiles * 4u;
  if (t >= step_rows()) { return; }
  var sums = vec4f();
  for (var j = lane.index; j < PER_ROW * params.columns; j += LANES) {
    let choice = t * PER_ROW + j / params.columns;
    let tile = tile_at(ids[choice], h, params.outputs, params.first, params.count);
    let products = x[t * PER_ROW * params.columns + j] * downs(tile, j % params.columns);
    sums += select(vec4f(), weights[choice] * products, tile.inside);
  }
  if (SHARED) {
    let tile = tile_at(0u, h, params.outputs, 0u, params.outputs);
    for (var i = lane.index; i < params.shared_columns; i += LANES) {
      sums += shared_x[t * params.shared_columns + i] * shared_downs(tile, i);
    }
  }
  let totals = sum_lanes4(lane, sums);
  let j = lane.index;
  if (j < 4u && h + j < params.outputs) { hidden[t * params.outputs + h + j] += totals[j]; }
}
