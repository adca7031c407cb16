// hidden[h] += Σ_k weights[k] · (x[k] · down[e, h]), e = ids[k], for the one row of the step; if SHARED also + shared_x · shared_down[h]
// (spec c.10).
// One workgroup of LANES per 4 outputs. Each of its teams of TEAM lanes takes a choice after the other; all share out the shared expert.
// COLUMNS: I / 4. SHARED_COLUMNS: I' / 4.

const TEAMS = LANES / TEAM;
const ROUNDS = (PER_ROW + TEAMS - 1u) / TEAMS;

// Steps whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const UNROLL = select(select(1u, 2u, COLUMNS % (2u * TEAM) == 0u), 4u, COLUMNS % (4u * TEAM) == 0u);

struct Params {
  outputs: u32, // H
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // [PER_ROW, I]
@group(0) @binding(3) var<storage, read> down: array<weight4>; // [E, H, I]
@group(0) @binding(4) var<storage, read> factors: array<factor>; // [E, H / BLOCK_ROWS, I / BLOCK_COLUMNS]
@group(0) @binding(5) var<storage, read> ids: array<u32>; // [PER_ROW]
@group(0) @binding(6) var<storage, read> weights: array<f32>; // [PER_ROW]
@group(0) @binding(7) var<storage, read_write> hidden: array<f32>; // [H]
@group(0) @binding(8) var<storage, read> shared_x: array<vec4f>; // [I']
@group(0) @binding(9) var<storage, read> shared_down: array<shared4>; // [H, I']
@group(0) @binding(10) var<storage, read> shared_factors: array<shared_factor>; // [H / BLOCK_ROWS, I' / BLOCK_COLUMNS]

var<workgroup> products: array<vec4f, PER_ROW>;
var<workgroup> held_weights: array<f32, PER_ROW>; // read at once: a loop would wait for each

fn downs4(at: u32, block: u32) -> vec4f {
  let codes = load_weight4(down[weight4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled(codes, factors[factor_at(block)], block);
}

fn downs(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * COLUMNS + i;
  let block = factor_indices(tile, i, COLUMNS);
  return mat4x4f(downs4(at.x, block.x), downs4(at.y, block.y), downs4(at.z, block.z), downs4(at.w, block.w));
}

fn shared_downs4(at: u32, block: u32) -> vec4f {
  let codes = load_shared4(shared_down[shared4_at(at)], at);
  if (!SCALED) { return codes; }
  return scaled_shared(codes, shared_factors[shared_factor_at(block)], block);
}

fn shared_downs(tile: Tile, i: u32) -> mat4x4f {
  let at = tile.rows * SHARED_COLUMNS + i;
  let block = factor_indices(tile, i, SHARED_COLUMNS);
  return mat4x4f(
    shared_downs4(at.x, block.x),
    shared_downs4(at.y, block.y),
    shared_downs4(at.z, block.z),
    shared_downs4(at.w, block.w),
  );
}

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let h = flat(group, grid) * 4u;
  if (h >= params.outputs) { return; }
  let own = lane.index % TEAM;
  for (var k = lane.index; k < PER_ROW; k += LANES) { held_weights[k] = weights[k]; }
  for (var round = 0u; round < ROUNDS; round++) {
    let k = round * TEAMS + lane.index / TEAM;
    var sum = vec4f();
    if (k < PER_ROW) {
      let tile = tile_at(ids[k], h, params.outputs, 0u, 0xffffffffu);
      for (var i = own; i < COLUMNS; i += UNROLL * TEAM) {
        sum += x[k * COLUMNS + i] * downs(tile, i);
        if (UNROLL > 1u) { sum += x[k * COLUMNS + i + TEAM] * downs(tile, i + TEAM); }
        if (UNROLL > 2u) {
          sum += x[k * COLUMNS + i + 2u * TEAM] * downs(tile, i + 2u * TEAM);
          sum += x[k * COLUMNS + i + 3u * TEAM] * downs(tile, i + 3u * TEAM);
        }
      }
    }
    let product = sum_team4(lane, sum);
    if (own == 0u && k < PER_ROW) { products[k] = product; }
  }
  var shared_sum = vec4f();
  let j = lane.index;
  var value = 0.0;
  if (j < 4u && h + j < params.outputs) { value = hidden[h + j]; }
  if (SHARED) {
    let tile = tile_at(0u, h, params.outputs, 0u, params.outputs);
    for (var i = lane.index; i < SHARED_COLUMNS; i += LANES) { shared_sum += shared_x[i] * shared_downs(tile, i); }
    shared_sum = sum_lanes4(lane, shared_sum);
  }
  workgroupBarrier();
  if (j >= 4u || h + j >= params.outputs) { return; }
  // Hidden first, and by fma: compilers may reorder a sum that ends with it (combine_experts.wgsl does the same).
  for (var k = 0u; k < PER_ROW; k++) { value = fma(held_weights[k], products[k][j], value); }
  hidden[h + j] = value + shared_sum[j];
}
