// Keys and values in the cache, but for those of the row's own position: a plan of one row makes these and its queries ready by itself, and
// writes them there. That takes less time than to wait for append.wgsl, and gives the same. Teams of TEAM lanes make a head ready each (ready_heads.wgsl).

const HEADS = QUERIES + 2u; // queries, key and value
const HEAD_TEAMS = LANES / TEAM;

@group(0) @binding(20) var<storage, read_write> keys: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(21) var<storage, read_write> values: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(22) var<storage, read> query_weight: array<f32>; // [D]
@group(0) @binding(23) var<storage, read> key_weight: array<f32>; // [D]
@group(0) @binding(24) var<storage, read> rope: array<f32>; // [context, 2, half]

fn key_at(row: u32, c: u32) -> chunk { return keys[row * CHUNKS + c]; }

fn value_at(row: u32, c: u32) -> chunk { return values[row * CHUNKS + c]; }

// Fills `queries` with those from `head` on, and the cache's row `last` if `is_own`; workgroups that share a kv head write the same there.
fn load_queries(lane: Lane, t: u32, head: u32, kv_head: u32, at: Row, last: u32, is_own: bool) {
  let count = select(QUERIES, HEADS, is_own);
  for (var first = 0u; first < count; first += HEAD_TEAMS) {
    let held = min(first + lane.index / TEAM, count - 1u); // teams that are left over do what the last one does
    let is_query = held < QUERIES;
    let key = params.heads + kv_head;
    let value = key + params.kv_heads;
    let source = select(select(value, key, held == QUERIES), head + held, is_query);
    load_head(lane, held, source * CHANNELS4, is_query, held == QUERIES + 1u);
  }
  workgroupBarrier();
  for (var i = lane.index; i < QUERIES * QUADS; i += LANES) {
    queries[i] = rotated4(i / QUADS, i % QUADS, at.position) / sqrt(f32(SIZE));
  }
  if (is_own) {
    for (var i = lane.index; i < CHUNKS; i += LANES) {
      let first = i * QUADS_OF_CHUNK;
      let second = first + QUADS_OF_CHUNK - 1u;
      keys[last * CHUNKS + i] = to_chunk(rotated4(QUERIES, first, at.position), rotated4(QUERIES, second, at.position));
      values[last * CHUNKS + i] = to_chunk(plain4(QUERIES + 1u, first), plain4(QUERIES + 1u, second));
    }
  }
  storageBarrier(); // what is written is read by others of the workgroup
  workgroupBarrier();
}
