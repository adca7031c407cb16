// Keys and values in the cache, but for those of the row's own position: a plan of one row makes these and its queries ready by itself, and
// writes them there. That takes less time than to wait for append.wgsl, and gives the same. Teams of TEAM lanes make a head ready each (ready_heads.wgsl).

const HEADS = QUERIES + 2u; // queries, key and value
const HEAD_TEAMS = LANES / TEAM;

@group(0) @binding(40) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(41) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(42) var<storage, read> rope: array<f32>; // [context, 2, half]

// The i-th of `held`.
fn ready_head(lane: Lane, i: u32, head: u32, kv_head: u32) -> Head {
  let key = params.heads + kv_head;
  let value = key + params.kv_heads;
  let is_query = i < QUERIES;
  let source = select(select(value, key, i == QUERIES), head + i, is_query);
  return head_at(lane, i, source * CHANNELS4, is_query, i == QUERIES + 1u);
}

// Fills `queries` with those from `head` on, and the cache's row `last` if `is_own`; workgroups that share a kv head write the same there.
fn load_queries(lane: Lane, t: u32, head: u32, kv_head: u32, at: Row, last: u32, is_own: bool) {
  let turn = first_turn(lane, at.position);
  let count = select(QUERIES, HEADS, is_own);
  for (var first = 0u; first < count; first += 3u * HEAD_TEAMS) {
    // Three of each team at once; what is left over is the last one again.
    let three = min(first + lane.index / TEAM + HEAD_TEAMS * vec3u(0u, 1u, 2u), vec3u(count - 1u));
    let head0 = ready_head(lane, three.x, head, kv_head);
    let head1 = ready_head(lane, three.y, head, kv_head);
    let head2 = ready_head(lane, three.z, head, kv_head);
    let own = vec4f(squares_of(lane, head0), squares_of(lane, head1), squares_of(lane, head2), 0.0);
    var squares = vec4f();
    if (NORM) { squares = sum_team4(lane, own); }
    hold_head(lane, head0, squares.x);
    hold_head(lane, head1, squares.y);
    hold_head(lane, head2, squares.z);
  }
  hold_turns(lane, at.position, turn);
  workgroupBarrier();
  for (var i = lane.index; i < QUERIES * QUERY_QUADS; i += LANES) {
    let channel = i % QUERY_QUADS;
    var value = vec4f();
    if (channel < QUADS) { value = rotated4(i / QUERY_QUADS, channel) / sqrt(f32(SIZE)); }
    queries[i] = value;
  }
  if (is_own) {
    for (var i = lane.index; i < CHUNKS; i += LANES) {
      let first = i * QUADS_OF_CHUNK;
      let second = first + QUADS_OF_CHUNK - 1u;
      hold_key(last * CHUNKS + i, to_chunk(rotated4(QUERIES, first), rotated4(QUERIES, second)));
      hold_value(last * CHUNKS + i, to_chunk(plain4(QUERIES + 1u, first), plain4(QUERIES + 1u, second)));
    }
  }
  storageBarrier(); // what is written is read by others of the workgroup
  workgroupBarrier();
}
