// out[t, h] = Σ_u exp(m_u - m) sums[t, u, h] / Σ_u exp(m_u - m) total_u, the whole softmax of a row's units, m being the largest m_u.
// One workgroup of LANES per row, head and COLUMNS vec4s of its channels; the lanes of a column share out the units, four at a time, whose
// reads are under way at once.
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
  for (var u = lane.index; u < units; u += 4u * LANES) {
    let four = min(u + LANES * vec4u(0u, 1u, 2u, 3u), vec4u(units - 1u));
    let m0 = carry[base + four.x * params.heads].x;
    let m1 = carry[base + four.y * params.heads].x;
    let m2 = carry[base + four.z * params.heads].x;
    let m3 = carry[base + four.w * params.heads].x;
    own = max(max(own, max(m0, m1)), max(m2, m3));
  }
  let largest = max_lanes(lane, own);
  let column = slice * COLUMNS + lane.index % COLUMNS;
  let share = lane.index / COLUMNS;
  var total = 0.0;
  var sum = vec4f();
  for (var u = share; u < units; u += 4u * SHARES) {
    let four = u + SHARES * vec4u(0u, 1u, 2u, 3u);
    let at = base + min(four, vec4u(units - 1u)) * params.heads;
    let unit0 = carry[at.x];
    let unit1 = carry[at.y];
    let unit2 = carry[at.z];
    let unit3 = carry[at.w];
    let c = min(column, CHANNELS4 - 1u);
    let sums0 = sums[at.x * CHANNELS4 + c];
    let sums1 = sums[at.y * CHANNELS4 + c];
    let sums2 = sums[at.z * CHANNELS4 + c];
    let sums3 = sums[at.w * CHANNELS4 + c];
    let weights = select(vec4f(), exp(vec4f(unit0.x, unit1.x, unit2.x, unit3.x) - largest), four < vec4u(units));
    total += dot(weights, vec4f(unit0.y, unit1.y, unit2.y, unit3.y));
    sum += weights.x * sums0 + weights.y * sums1 + weights.z * sums2 + weights.w * sums3;
  }
  // Every column's lanes have added up the same totals.
  let whole = sum_lanes(lane, select(0.0, total, lane.index % COLUMNS == 0u));
  shares[lane.index] = sum;
  workgroupBarrier();
  if (share > 0u || column >= CHANNELS4) { return; }
  for (var other = 1u; other < SHARES; other++) { sum += shares[other * COLUMNS + column % COLUMNS]; }
  out[(t * params.heads + head) * CHANNELS4 + column] = sum / whole;
}
