// Notes each output row's candidates, and draws its token where the step says how: top-k, top-p and min-p in this order, then the first one
// at which the running mass reaches u times what is kept. What the other tokens weigh follows from log-sum-exp, exactly only at
// temperature 1; if the draw falls among them it is the last candidate. The step then goes on by one position with that token,
// and with the states that it wrote.
// One workgroup of LANES per row, of PER_ROW at least.

const LAST = PER_ROW - 1u;
const NOTE = 2u * PER_ROW + 2u;

// Its draws are a counter for each output (steps gone on, steps to go on) and two vec4s for each draw.
@group(0) @binding(0) var<storage, read_write> step: array<vec4u>; // [as shaders/lib/step.wgsl has it]
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [R, PER_ROW]
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [R, PER_ROW], by falling logit
@group(0) @binding(3) var<storage, read> log_sum_exp: array<f32>; // [R]
@group(0) @binding(4) var<storage, read_write> trail: array<u32>; // [steps, R, NOTE]

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

fn draw_at(first: u32) -> Draw {
  let numbers = bitcast<vec4f>(step[first]);
  return Draw(numbers.x, numbers.y, numbers.z, numbers.w, step[first + 1u].x);
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
fn count(which: u32, holds: bool) -> u32 {
  if (holds) { atomicAdd(&counts[which], 1u); }
  workgroupBarrier();
  return atomicLoad(&counts[which]);
}

// The place of the candidate that is drawn.
fn place_of(draw: Draw, lane: u32, logit: f32, best: f32, least: f32, sum: f32) -> u32 {
  let is_inside = lane < PER_ROW;
  masses[lane] = select(0.0, exp((logit - best) / draw.temperature), is_inside);
  others[lane] = select(0.0, exp(logit - least), is_inside);
  if (lane < 3u) { atomicStore(&counts[lane], 0u); } // not every implementation clears a workgroup's memory
  workgroupBarrier();
  scan(lane);
  var kept = masses[min(draw.top_k, PER_ROW) - 1u];
  if (draw.top_k > PER_ROW) {
    let rest = clamp(exp(sum - least) - others[LAST], 0.0, f32(draw.top_k - PER_ROW));
    kept += exp((least - best) / draw.temperature) * rest;
  }
  let reached = count(0u, is_inside && masses[lane] < draw.top_p * kept);
  if (draw.top_p < 1.0) { kept = select(draw.top_p * kept, masses[min(reached, LAST)], reached < PER_ROW); }
  let likely = count(1u, is_inside && logit - best >= draw.floor);
  if (likely < PER_ROW) { kept = min(kept, masses[likely - 1u]); }
  let place = count(2u, is_inside && masses[lane] < draw.u * kept);
  return min(place, min(draw.top_k, PER_ROW) - 1u);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let r = group.x + group.y * grid.x;
  let header = step[1];
  let outputs = step[0].z;
  if (r >= outputs) { return; }
  let counter = step[header.z + r];
  let at = (counter.x * outputs + r) * NOTE;
  let first = r * PER_ROW;
  let logit = logits[first + min(lane, LAST)];
  let sum = log_sum_exp[r];
  if (lane < PER_ROW) {
    trail[at + lane] = ids[first + lane];
    trail[at + PER_ROW + lane] = bitcast<u32>(logit);
  }
  if (lane == 0u) { trail[at + 2u * PER_ROW] = bitcast<u32>(sum); }
  if (counter.x >= counter.y) { return; }
  let draw = draw_at(header.z + outputs + 2u * (counter.x * outputs + r));
  let place = place_of(draw, lane, logit, logits[first], logits[first + LAST], sum);
  if (lane > 0u) { return; }
  let token = ids[first + place];
  trail[at + 2u * PER_ROW + 1u] = token;
  step[header.z + r].x = counter.x + 1u;
  step[2u + r].x = token;
  step[header.w + r].y += 1u;
  step[header.x + r].w += 1u;
  let written = step[header.x + r].z >> 16u;
  step[header.w + r].z = written | (written << 16u);
  step[header.x + r].z = written | (written << 16u);
}
