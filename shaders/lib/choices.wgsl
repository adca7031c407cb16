// Choices of experts that share one: of one row its own, in the order of k, or if ROWS is 2 pairs at most (sort_experts.wgsl).
// `chosen` is then what was sorted, TILES tiles before the choices, and else the experts themselves.

struct Choices {
  expert: u32,
  count: u32, // 0 past the last tile
  at: vec2u, // t · PER_ROW + k; past the last one that one again
}

@group(0) @binding(20) var<storage, read> chosen: array<u32>; // [T, PER_ROW], or sorted

fn choices_at(lane: Lane, index: u32, leaves_all: bool) -> Choices {
  if (ROWS == 1u) { return Choices(chosen[index], 1u, vec2u(index)); }
  let count = chosen[4u * index + 2u];
  let first = 4u * TILES + chosen[4u * index + 1u];
  let second = select(first, first + 1u, count > 1u);
  return Choices(chosen[4u * index], count, vec2u(chosen[first], chosen[second]));
}
