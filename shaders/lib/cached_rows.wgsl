// Keys and values of all positions in the cache, and queries that are ready (append.wgsl).

const CHANNELS4 = SIZE / 4u;
const HEADS = 0u; // that are made ready here

// Fills `queries` with those of a row from `head` on; the row's own position may be the cache's row `last`.
fn load_queries(lane: Lane, t: u32, head: u32, kv_head: u32, at: Row, last: u32, is_own: bool) {
  let q = (t * (params.heads + 2u * params.kv_heads) + head) * CHANNELS4;
  for (var i = lane.index; i < QUERIES * QUERY_QUADS; i += LANES) {
    let channel = i % QUERY_QUADS;
    var value = vec4f();
    if (channel < CHANNELS4) { value = qkv[q + i / QUERY_QUADS * CHANNELS4 + channel] / sqrt(f32(SIZE)); }
    queries[i] = value;
  }
  workgroupBarrier();
}
