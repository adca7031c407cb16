// keys[slot, position] = k[t] and values[slot, position] = v[t], where those lie in the part of the caches that is bound.
// One workgroup of LANES per row.

struct Params {
  query_columns: u32, // heads · D / 4
  columns: u32, // kv_heads · D / 4
  context: u32, // positions of a slot
  first: u32, // position of the part, counted through all slots
  count: u32, // positions of the part
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, heads + 2 kv_heads, D]
@group(0) @binding(3) var<storage, read_write> keys: array<vec4f>; // [slots, context, kv_heads, D]
@group(0) @binding(4) var<storage, read_write> values: array<vec4f>; // [slots, context, kv_heads, D]

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let t = flat(group, grid);
  if (t >= step_rows()) { return; }
  let row = step_row(t);
  let at = row.slot * params.context + row.position;
  if (at < params.first || at >= params.first + params.count) { return; }
  let source = t * (params.query_columns + 2u * params.columns) + params.query_columns;
  let to = (at - params.first) * params.columns;
  for (var i = lane; i < params.columns; i += LANES) {
    keys[to + i] = qkv[source + i];
    values[to + i] = qkv[source + params.columns + i];
  }
}
