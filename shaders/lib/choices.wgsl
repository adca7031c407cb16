// Choices of experts that share one: of one row its own, in the order of k, or if ROWS is 4 tiles of at most four (sort_experts.wgsl).
// `chosen` is then what was sorted, TILES tiles before the choices, and else the experts themselves.

struct Choices {
  expert: u32,
  count: u32, // 0 past the last tile
  at: vec4u, // t · PER_ROW + k; past the last one that one again
}

fn choices_at(index: u32) -> Choices {
  if (ROWS == 1u) { return Choices(chosen[index], 1u, vec4u(index)); }
  let count = chosen[4u * index + 2u];
  let places = 4u * TILES + chosen[4u * index + 1u] + min(vec4u(0u, 1u, 2u, 3u), vec4u(max(count, 1u) - 1u));
  let at = vec4u(chosen[places.x], chosen[places.y], chosen[places.z], chosen[places.w]);
  return Choices(chosen[4u * index], count, at);
}
