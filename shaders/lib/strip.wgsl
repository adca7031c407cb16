// Strips of 16 neighbouring values, and products of them: lanes share out the columns and add up across lanes in the end, or each has rows
// of the weight to itself and a strip of the input for all.
// For devices that compute on a CPU (pairs.wgsl), and workgroups that are one subgroup of eight lanes, which move values between lanes at once.

struct Strip {
  a: vec4f,
  b: vec4f,
  c: vec4f,
  d: vec4f,
}

struct FourStrips {
  first: Strip,
  second: Strip,
  third: Strip,
  fourth: Strip,
}

fn dot16(x: Strip, y: Strip) -> f32 { return (dot(x.a, y.a) + dot(x.b, y.b)) + (dot(x.c, y.c) + dot(x.d, y.d)); }

fn strip_at(low: f32x8, high: f32x8) -> Strip {
  return Strip(
    vec4f(pair_of(low.x), pair_of(low.y)),
    vec4f(pair_of(low.z), pair_of(low.w)),
    vec4f(pair_of(high.x), pair_of(high.y)),
    vec4f(pair_of(high.z), pair_of(high.w)),
  );
}

fn plus(x: Strip, y: Strip) -> Strip { return Strip(x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d); }

fn times(x: Strip, y: Strip) -> Strip { return Strip(x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d); }

// x · each of four rows, at the 16 columns that are given.
fn products(x: Strip, rows: FourStrips) -> vec4f {
  return vec4f(dot16(x, rows.first), dot16(x, rows.second), dot16(x, rows.third), dot16(x, rows.fourth));
}

// The strip that another lane of the subgroup holds.
fn strip_of(held: Strip, lane: u32) -> Strip {
  return Strip(
    subgroupShuffle(held.a, lane),
    subgroupShuffle(held.b, lane),
    subgroupShuffle(held.c, lane),
    subgroupShuffle(held.d, lane),
  );
}

// Strips of a weight at 16 columns that share a factor.
fn scaled16(codes: Strip, strip_factor: factor, block: u32) -> Strip {
  return Strip(
    scaled(codes.a, strip_factor, block),
    scaled(codes.b, strip_factor, block),
    scaled(codes.c, strip_factor, block),
    scaled(codes.d, strip_factor, block),
  );
}

fn scaled_by(x: Strip, scale: f32) -> Strip { return Strip(x.a * scale, x.b * scale, x.c * scale, x.d * scale); }

// y turned down by the sigmoid of a gate.
fn gated(y: Strip, gate: Strip) -> Strip {
  return Strip(y.a / (1.0 + exp(-gate.a)), y.b / (1.0 + exp(-gate.b)), y.c / (1.0 + exp(-gate.c)), y.d / (1.0 + exp(-gate.d)));
}

// Adds up eight values over eight lanes: lane i gets the sum of the i-th of them.
fn sum_across(lane: u32, low: vec4f, high: vec4f) -> f32 {
  let upper = (lane & 4u) > 0u;
  let four = select(low, high, upper) + subgroupShuffleXor(select(high, low, upper), 4u);
  let later = (lane & 2u) > 0u;
  let two = select(four.xy, four.zw, later) + subgroupShuffleXor(select(four.zw, four.xy, later), 2u);
  let odd = (lane & 1u) > 0u;
  return select(two.x, two.y, odd) + subgroupShuffleXor(select(two.y, two.x, odd), 1u);
}

const LANE_ROWS = 4u; // that a lane has to itself

// The m-th lane of all has the rows m, m + count / LANE_ROWS, … of `count` rows; this is `count` where there is none. Neighbouring lanes read neighbouring rows, and those of a lane lie apart, which caches like better than as many
// neighbours as a workgroup has rows: 512 bytes apart, they share few sets.
fn spread_rows(m: u32, count: u32) -> vec4u {
  let share = (count + LANE_ROWS - 1u) / LANE_ROWS;
  return select(vec4u(count), vec4u(m) + share * vec4u(0u, 1u, 2u, 3u), m < share);
}
