// Sums and maxima over a workgroup of LANES threads, or sums over TEAM neighbours, powers of two, through workgroup memory, in a fixed order.

struct Lane {
  @builtin(local_invocation_index) index: u32,
}

var<workgroup> lane_values: array<vec4f, LANES>;
var<workgroup> lane_counts: array<u32, LANES>;

// A sum over all lanes in two parts, between which lanes must wait for each other.
fn begin_sum4(lane: Lane, value: vec4f) { lane_values[lane.index] = value; }

fn end_sum4(lane: Lane) -> vec4f {
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane.index < half) { lane_values[lane.index] += lane_values[lane.index + half]; }
  }
  workgroupBarrier();
  return lane_values[0];
}

fn sum_lanes4(lane: Lane, value: vec4f) -> vec4f {
  workgroupBarrier(); // the result before may still be being read
  begin_sum4(lane, value);
  return end_sum4(lane);
}

fn sum_team8(lane: Lane, values: mat2x4f) -> mat2x4f {
  let first = sum_team4(lane, values[0]);
  return mat2x4f(first, sum_team4(lane, values[1]));
}

fn sum_team4(lane: Lane, value: vec4f) -> vec4f {
  workgroupBarrier(); // the result before may still be being read
  lane_values[lane.index] = value;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane.index % TEAM < half) { lane_values[lane.index] += lane_values[lane.index + half]; }
  }
  workgroupBarrier();
  return lane_values[lane.index / TEAM * TEAM];
}

fn max_lanes(lane: Lane, value: f32) -> f32 {
  workgroupBarrier();
  lane_values[lane.index].x = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane.index < half) {
      lane_values[lane.index].x = max(lane_values[lane.index].x, lane_values[lane.index + half].x);
    }
  }
  workgroupBarrier();
  return lane_values[0].x;
}

fn max_lanes4(lane: Lane, value: vec4f) -> vec4f {
  workgroupBarrier();
  lane_values[lane.index] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane.index < half) { lane_values[lane.index] = max(lane_values[lane.index], lane_values[lane.index + half]); }
  }
  workgroupBarrier();
  return lane_values[0];
}

fn sum_lanes(lane: Lane, value: f32) -> f32 { return sum_lanes4(lane, vec4f(value, 0.0, 0.0, 0.0)).x; }

// Σ of `own` over the lanes before this one.
fn sum_before(lane: Lane, own: u32) -> u32 {
  workgroupBarrier();
  lane_counts[lane.index] = own;
  workgroupBarrier();
  var sum = own;
  for (var step = 1u; step < LANES; step *= 2u) {
    var other = 0u;
    if (lane.index >= step) { other = lane_counts[lane.index - step]; }
    workgroupBarrier();
    sum += other;
    lane_counts[lane.index] = sum;
    workgroupBarrier();
  }
  return sum - own;
}
