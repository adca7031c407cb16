// Sums and maxima over a workgroup of LANES threads, or sums over TEAM neighbours, powers of two, by subgroups of at least SUBGROUP
// threads and at most TEAM, in a fixed order.

struct Lane {
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) subgroup_size: u32,
}

// Subgroups are consecutive threads of a workgroup: SUBGROUP divides their size, and LANES is SUBGROUP times a power of two.
const SUBGROUPS = max(1u, LANES / SUBGROUP);

var<workgroup> subgroup_values: array<vec4f, SUBGROUPS>;
var<workgroup> subgroup_counts: array<u32, SUBGROUPS>;

fn sum_lanes4(lane: Lane, value: vec4f) -> vec4f {
  var sum = subgroupAdd(value);
  if (SUBGROUPS > 1u) {
    workgroupBarrier(); // the result before may still be being read
    subgroup_values[lane.index / lane.subgroup_size] = sum;
    workgroupBarrier();
    sum = subgroup_values[0];
    for (var i = 1u; i * lane.subgroup_size < LANES; i++) { sum += subgroup_values[i]; }
  }
  return sum;
}

fn sum_team4(lane: Lane, value: vec4f) -> vec4f {
  var sum = subgroupAdd(value);
  if (TEAM > SUBGROUP) {
    workgroupBarrier(); // the result before may still be being read
    subgroup_values[lane.index / lane.subgroup_size] = sum;
    workgroupBarrier();
    let first = lane.index / TEAM * TEAM / lane.subgroup_size;
    sum = subgroup_values[first];
    for (var i = 1u; i * lane.subgroup_size < TEAM; i++) { sum += subgroup_values[first + i]; }
  }
  return sum;
}

fn max_lanes(lane: Lane, value: f32) -> f32 {
  var largest = subgroupMax(value);
  if (SUBGROUPS > 1u) {
    workgroupBarrier();
    subgroup_values[lane.index / lane.subgroup_size].x = largest;
    workgroupBarrier();
    largest = subgroup_values[0].x;
    for (var i = 1u; i * lane.subgroup_size < LANES; i++) { largest = max(largest, subgroup_values[i].x); }
  }
  return largest;
}

fn max_lanes4(lane: Lane, value: vec4f) -> vec4f {
  var largest = subgroupMax(value);
  if (SUBGROUPS > 1u) {
    workgroupBarrier();
    subgroup_values[lane.index / lane.subgroup_size] = largest;
    workgroupBarrier();
    largest = subgroup_values[0];
    for (var i = 1u; i * lane.subgroup_size < LANES; i++) { largest = max(largest, subgroup_values[i]); }
  }
  return largest;
}

fn sum_lanes(lane: Lane, value: f32) -> f32 { return sum_lanes4(lane, vec4f(value, 0.0, 0.0, 0.0)).x; }

// Count of subgroup `i` if it comes before subgroup `end`.
fn count_before(i: u32, end: u32) -> u32 { return select(0u, subgroup_counts[min(i, SUBGROUPS - 1u)], i < end); }

// Σ of `own` over the lanes before this one. The reads of four subgroups are under way at once.
fn sum_before(lane: Lane, own: u32) -> u32 {
  var sum = subgroupExclusiveAdd(own);
  if (SUBGROUPS > 1u) {
    let total = subgroupAdd(own);
    let subgroup = lane.index / lane.subgroup_size;
    workgroupBarrier(); // the result before may still be being read
    subgroup_counts[subgroup] = total;
    workgroupBarrier();
    for (var i = 0u; i * lane.subgroup_size < LANES; i += 4u) {
      sum += (count_before(i, subgroup) + count_before(i + 1u, subgroup)) +
        (count_before(i + 2u, subgroup) + count_before(i + 3u, subgroup));
    }
  }
  return sum;
}
