// o_a = D^(-1/2) [exp(g(a+1)) q_a S + Σ_(b≤a) exp(g(a-b)) (q_a·k_b) v_b] for the rows a of a chunk, S the state before it (spec c.6).
// One workgroup of LANES per chunk of at most 64 rows and head (lib/attention_tile.wgsl).

const_assert TILE_ROWS == SPAN;

struct Params {
  heads: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> decay: array<f32>; // [heads, SPAN + 1], exp(g n)
@group(0) @binding(4) var<storage, read> states: array<vec4f>; // [chunks, heads, D(k), D(v)]
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

var<private> span: Span;
var<private> chunk: u32;
var<private> head: u32;
var<private> from_state: bool; // values are rows of the state,
var<private> first_channel: u32; // of k, from this one on

// Four channels of q (0), k (1) or v (2) of a row, the last one standing in for those past it.
fn at_row(row: u32, which: u32, channel4: u32) -> vec4f {
  let t = span.first + min(row, span.rows - 1u);
  return select(vec4f(), qkv[((t * 3u + which) * params.heads + head) * CHANNELS4 + channel4], channel4 < CHANNELS4);
}

fn query_at(row: u32, channel4: u32) -> vec4f { return at_row(row, 0u, channel4); }

fn key_at(row: u32, channel4: u32) -> vec4f { return at_row(row, 1u, channel4); }

fn value_at(row: u32, channel4: u32) -> vec4f {
  if (!from_state) { return at_row(row, 2u, channel4); }
  let k = min(first_channel + row, SIZE - 1u);
  return states[((chunk * params.heads + head) * SIZE + k) * CHANNELS4 + min(channel4, CHANNELS4 - 1u)];
}

fn power(n: u32) -> f32 { return decay[head * (SPAN + 1u) + n]; }

// exp(g(a-b)) for keys b of row a, 0 where b > a.
fn factors_for(a: u32, b: vec4u) -> vec4f {
  let n = vec4u(a) - min(vec4u(a), b);
  return select(vec4f(), vec4f(power(n.x), power(n.y), power(n.z), power(n.w)), b <= vec4u(a));
}

fn weakened(scores: mat4x4f, row: u32, x: u32) -> mat4x4f {
  let b = 4u * x + vec4u(0u, 1u, 2u, 3u);
  return mat4x4f(
    scores[0] * factors_for(row, b),
    scores[1] * factors_for(row + DOWN, b),
    scores[2] * factors_for(row + 2u * DOWN, b),
    scores[3] * factors_for(row + 3u * DOWN, b),
  );
}

fn write(row: u32, column: u32, value: vec4f) {
  if (row >= span.rows || column >= CHANNELS4) { return; }
  out[((span.first + row) * params.heads + head) * CHANNELS4 + column] = value / sqrt(f32(SIZE));
}

fn write_sums(row: u32, column: u32, sums: mat4x4f) {
  write(row, column, sums[0]);
  write(row + DOWN, column, sums[1]);
  write(row + 2u * DOWN, column, sums[2]);
  write(row + 3u * DOWN, column, sums[3]);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  chunk = flat(group, grid) / params.heads;
  head = flat(group, grid) % params.heads;
  span = span_at(chunk);
  if (span.rows == 0u) { return; }
  let at = thread_at(lane);
  let row0 = at.y;
  let row1 = at.y + 4u * DOWN;
  score_keys(lane, at);
  workgroupBarrier(); // queries may still be being read
  hold_factors(at, weakened(scores0, row0, at.x), weakened(scores1, row1, at.x));
  from_state = false;
  weigh_values(lane, at, span.rows);

  // What q makes of the state: the same product, with q for factors and the state's rows for values, 64 channels at a time.
  from_state = true;
  for (var base = 0u; base < SIZE; base += TILE_KEYS) {
    first_channel = base;
    workgroupBarrier(); // the factors before may still be being read
    for (var i = lane; i < SPAN * 16u; i += LANES) {
      hold_row(i / 16u, i % 16u, power(i / 16u + 1u) * query_at(i / 16u, base / 4u + i % 16u));
    }
    weigh_values(lane, at, min(TILE_KEYS, SIZE - base));
  }
  write_sums(row0, at.x, sums00);
  write_sums(row1, at.x, sums10);
  if (CHANNELS4 > 16u) {
    write_sums(row0, at.x + 16u, sums01);
    write_sums(row1, at.x + 16u, sums11);
  }
}
