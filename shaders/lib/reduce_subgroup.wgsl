// Sums and maxima over a workgroup of LANES threads, or sums over TEAM neighbours, powers of two, by subgroups of at least SUBGROUP
// threads and at most TEAM, in a fixed order.

struct Lane {
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) subgroup_size: u32,
}

// Subgroups are consecutive threads of a workgroup: SUBGROUP divides their size, and LANES is SUBGROUP times a power of two.
const SUBGROUPS = max(1u, LANES / SUBGROUP);

var<workgroup> subgroup_values: array<vec4f, SUBGROUPS>;
var<workgroup> more_subgroup_values: array<vec4f, SUBGROUPS>;
var<workgroup> subgroup_counts: array<u32, SUBGROUPS>;

// The sums of the subgroups of so many threads, from the first on. The reads of four are under way at once.
fn sum_subgroups(lane: Lane, first: u32, threads: u32) -> vec4f {
  var sum = vec4f();
  for (var i = 0u; i * lane.subgroup_size < threads; i += 4u) {
    sum += (subgroup_value(lane, first, i, threads) + subgroup_value(lane, first, i + 1u, threads)) +
      (subgroup_value(lane, first, i + 2u, threads) + subgroup_value(lane, first, i + 3u, threads));
  }
  return sum;
}

fn subgroup_value(lane: Lane, first: u32, i: u32, threads: u32) -> vec4f {
  return select(vec4f(), subgroup_values[min(first + i, SUBGROUPS - 1u)], i * lane.subgroup_size < threads);
}

// A sum over all lanes in two parts, between which lanes must wait for each other.
fn begin_sum4(lane: Lane, value: vec4f) { subgroup_values[lane.index / lane.subgroup_size] = subgroupAdd(value); }

fn end_sum4(lane: Lane) -> vec4f { return sum_subgroups(lane, 0u, LANES); }

fn sum_lanes4(lane: Lane, value: vec4f) -> vec4f {
  if (SUBGROUPS == 1u) { return subgroupAdd(value); }
  workgroupBarrier(); // the result before may still be being read
  begin_sum4(lane, value);
  workgroupBarrier();
  return end_sum4(lane);
}

fn sum_team4(lane: Lane, value: vec4f) -> vec4f {
  let sum = subgroupAdd(value);
  if (TEAM <= SUBGROUP) { return sum; }
  workgroupBarrier(); // the result before may still be being read
  subgroup_values[lane.index / lane.subgroup_size] = sum;
  workgroupBarrier();
  return sum_subgroups(lane, lane.index / TEAM * TEAM / lane.subgroup_size, TEAM);
}

// Two of them at once.
fn sum_team8(lane: Lane, values: mat2x4f) -> mat2x4f {
  let sums = mat2x4f(subgroupAdd(values[0]), subgroupAdd(values[1]));
  if (TEAM <= SUBGROUP) { return sums; }
  workgroupBarrier(); // the result before may still be being read
  let subgroup = lane.index / lane.subgroup_size;
  subgroup_values[subgroup] = sums[0];
  more_subgroup_values[subgroup] = sums[1];
  workgroupBarrier();
  let first = lane.index / TEAM * TEAM / lane.subgroup_size;
  var sum = mat2x4f();
  for (var i = 0u; i * lane.subgroup_size < TEAM; i += 4u) {
    sum += (two_values(lane, first, i) + two_values(lane, first, i + 1u)) +
      (two_values(lane, first, i + 2u) + two_values(lane, first, i + 3u));
  }
  return sum;
}

fn two_values(lane: Lane, first: u32, i: u32) -> mat2x4f {
  let more = more_subgroup_values[min(first + i, SUBGROUPS - 1u)];
  return mat2x4f(
    subgroup_value(lane, first, i, TEAM),
    select(vec4f(), more, i * lane.subgroup_size < TEAM),
  );
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
