// out[t, h] = Σ_u exp(m_u - m) sums[t, u, h] / Σ_u exp(m_u - m) total_u, the whole softmax of a row's units, m being the largest m_u.
// One workgroup of LANES per row, head and COLUMNS vec4s of its channels; the lanes of a column share out the units.
// SIZE: channels of a head, D.

const CHANNELS4 = SIZE / 4u;
const SLICES = (CHANNELS4 + COLUMNS - 1u) / COLUMNS;
const SHARES = LANES / COLUMNS;
const LOWEST = -3.4e38;

struct Params {
  heads: u32,
  first_row: u32, // of those that go together
  units: u32, // the most units of a row [U]
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> carry: array<vec2f>; // [B, U, heads], m and total
@group(0) @binding(3) var<storage, read> sums: array<vec4f>; // [B, U, heads, D]
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

var<workgroup> shares: array<vec4f, LANES>;

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let slice = flat(group, grid) % SLICES;
  let head = flat(group, grid) / SLICES % params.heads;
  let row = flat(group, grid) / SLICES / params.heads;
  let t = params.first_row + row;
  if (t >= step_rows()) { return; }
  let units = units_of(step_row(t).position + 1u);
  let base = row * params.units * params.heads + head;
  var own = LOWEST;
  for (var u = lane.index; u < units; u += LANES) { own = max(own, carry[base + u * params.heads].x); }
  let largest = max_lanes(lane, own);
  let column = slice * COLUMNS + lane.index % COLUMNS;
  let share = lane.index / COLUMNS;
  var total = 0.0;
  var sum = vec4f();
  for (var u = share; u < units; u += SHARES) {
    let unit = carry[base + u * params.heads];
    let weight = exp(unit.x - largest);
    total += weight * unit.y;
    if (column < CHANNELS4) { sum += weight * sums[(base + u * params.heads) * CHANNELS4 + column]; }
  }
  // Every column's lanes have added up the same totals.
  let whole = sum_lanes(lane, select(0.0, total, lane.index % COLUMNS == 0u));
  shares[lane.index] = sum;
  workgroupBarrier();
  if (share > 0u || column >= CHANNELS4) { return; }
  for (var other = 1u; other < SHARES; other++) { sum += shares[other * COLUMNS + column % COLUMNS]; }
  out[(t * params.heads + head) * CHANNELS4 + column] = sum / whole;
}
