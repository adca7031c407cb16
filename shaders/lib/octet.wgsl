// Eight neighbouring channels of a row, held by one lane for all of its subgroup.
// For devices that compute on a CPU, and workgroups that are one subgroup (pairs.wgsl says why).

struct Octet {
  low: vec4f,
  high: vec4f,
}

fn plus8(a: Octet, b: Octet) -> Octet { return Octet(a.low + b.low, a.high + b.high); }

fn scaled8(a: Octet, scale: f32) -> Octet { return Octet(a.low * scale, a.high * scale); }

fn times8(a: Octet, b: Octet) -> Octet { return Octet(a.low * b.low, a.high * b.high); }

fn dot8(a: Octet, b: Octet) -> f32 { return dot(a.low, b.low) + dot(a.high, b.high); }

fn octet_of(held: Octet, lane: u32) -> Octet {
  return Octet(subgroupShuffle(held.low, lane), subgroupShuffle(held.high, lane));
}

fn octet_at(packed: f32x8) -> Octet {
  return Octet(vec4f(pair_of(packed.x), pair_of(packed.y)), vec4f(pair_of(packed.z), pair_of(packed.w)));
}
