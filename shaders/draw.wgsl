// Draws the token of each output row from its candidates: top-k, top-p and min-p in this order, then the first one at which the running
// mass reaches u times what is kept. What the other tokens weigh follows from log-sum-exp, exactly only at temperature 1; if the
// draw falls among them the last candidate is taken.
// One workgroup of LANES ≥ PER_ROW per row.

const LAST = PER_ROW - 1u;

@group(0) @binding(1) var<storage, read> ids: array<u32>; // [R, PER_ROW]
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, PER_ROW], by falling logit
@group(0) @binding(3) var<storage, read> log_sum_exp: array<f32>; // [R]
@group(0) @binding(4) var<storage, read_write> drawn: array<u32>; // [R]

struct Draw {
  temperature: f32,
  top_p: f32,
  floor: f32, // least logit kept, less the largest
  u: f32,
  top_k: u32,
}

var<workgroup> masses: array<f32, LANES>; // of each candidate and those before it
var<workgroup> others: array<f32, LANES>; // running sum of exp(logit - last logit)
var<workgroup> counts: array<atomic<u32>, 3>;

fn draw_of(r: u32) -> Draw {
  let words = step_draw(r);
  let numbers = bitcast<vec4f>(words[0]);
  return Draw(numbers.x, numbers.y, numbers.z, numbers.w, words[1].x);
}

// Sums up over all lanes before each one.
fn scan(lane: u32) {
  for (var reach = 1u; reach < LANES; reach *= 2u) {
    let before = max(lane, reach) - reach;
    let mass = select(0.0, masses[before], lane >= reach);
    let other = select(0.0, others[before], lane >= reach);
    workgroupBarrier();
    masses[lane] += mass;
    others[lane] += other;
    workgroupBarrier();
  }
}

// How many lanes say so.
fn count(which: u32, lane: u32, holds: bool) -> u32 {
  if (holds) { atomicAdd(&counts[which], 1u); }
  workgroupBarrier();
  return atomicLoad(&counts[which]);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let r = flat(group, grid);
  if (r >= step_outputs()) { return; }
  let draw = draw_of(r);
  let best = logits[r * PER_ROW];
  let least = logits[r * PER_ROW + LAST];
  let is_inside = lane < PER_ROW;
  let logit = logits[r * PER_ROW + min(lane, LAST)];
  masses[lane] = select(0.0, exp((logit - best) / draw.temperature), is_inside);
  others[lane] = select(0.0, exp(logit - least), is_inside);
  workgroupBarrier();
  scan(lane);

  var kept = masses[min(draw.top_k, PER_ROW) - 1u];
  if (draw.top_k > PER_ROW) {
    let rest = clamp(exp(log_sum_exp[r] - least) - others[LAST], 0.0, f32(draw.top_k - PER_ROW));
    kept += exp((least - best) / draw.temperature) * rest;
  }
  if (draw.top_p < 1.0) {
    let place = count(0u, lane, is_inside && masses[lane] < draw.top_p * kept);
    kept = select(draw.top_p * kept, masses[min(place, LAST)], place < PER_ROW);
  }
  let likely = count(1u, lane, is_inside && logit - best >= draw.floor);
  if (likely < PER_ROW) { kept = min(kept, masses[likely - 1u]); }
  let place = count(2u, lane, is_inside && masses[lane] < draw.u * kept);
  if (lane == 0u) { drawn[r] = ids[r * PER_ROW + min(place, min(draw.top_k, PER_ROW) - 1u)]; }
}
