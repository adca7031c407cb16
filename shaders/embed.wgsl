// hidden[t] = table[token t], for the tokens whose rows lie in the part of the table that is bound.
// One workgroup of LANES per row and LANES · 4 columns.

struct Params {
  columns: u32, // H / 4
  vocabulary: u32, // V
  first: u32, // row of the part
  count: u32, // rows of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> table: array<weight4>; // [V, H]
@group(0) @binding(3) var<storage, read> factors: array<factor>; // [V / BLOCK_ROWS, H / BLOCK_COLUMNS]
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4f>; // [T, H]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let blocks = (params.columns + LANES - 1u) / LANES;
  let t = flat(group, grid) / blocks;
  let i = flat(group, grid) % blocks * LANES + lane;
  if (t >= step_rows() || i >= params.columns) { return; }
  let tile = tile_at(0u, step_row(t).token, params.vocabulary, params.first, params.count);
  if (!tile.inside.x) { return; }
  let at = tile.rows.x * params.columns + i;
  var value = load_weight4(table[weight4_at(at)], at);
  if (SCALED) {
    let block = factor_indices(tile, i, params.columns).x;
    value = scaled(value, factors[factor_at(block)], block);
  }
  hidden[t * params.columns + i] = value;
}
