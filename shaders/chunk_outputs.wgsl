// o_a = D^(-1/2) [exp(g(a+1)) q_a S + Σ_(b≤a) exp(g(a-b)) (q_a·k_b) v_b] for the rows a of a chunk, S the state before it (spec c.6).
// One workgroup of LANES per chunk of at most 64 rows and head (lib/attention_tile.wgsl).

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
  return states[((chunk * params.heads + head) * SIZE + k) * CHANNELS4 + channel4];
}

fn power(n: u32) -> f32 { return decay[head * (SPAN + 1u) + n]; }

// exp(g(a-b)) for the rows a, 0 where b > a.
fn factors_for(rows: vec4u, b: u32) -> vec4f {
  let n = rows - min(rows, vec4u(b));
  return select(vec4f(), vec4f(power(n.x), power(n.y), power(n.z), power(n.w)), vec4u(b) <= rows);
}

fn write(row: u32, column: u32, value: vec4f) {
  if (row >= span.rows || column >= CHANNELS4) { return; }
  out[((span.first + row) * params.heads + head) * CHANNELS4 + column] = value / sqrt(f32(SIZE));
}

fn write_sums(y: u32, column: u32, sums: mat4x4f) {
  write(y, column, sums[0]);
  write(y + 16u, column, sums[1]);
  write(y + 32u, column, sums[2]);
  write(y + 48u, column, sums[3]);
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
  let rows = vec4u(at.y, at.y + 16u, at.y + 32u, at.y + 48u);
  let scores = score_keys(lane, at);
  let b = 4u * at.x;
  hold_factors(
    at,
    mat4x4f(
      scores[0] * factors_for(rows, b),
      scores[1] * factors_for(rows, b + 1u),
      scores[2] * factors_for(rows, b + 2u),
      scores[3] * factors_for(rows, b + 3u),
    ),
  );
  from_state = false;
  weigh_values(lane, at, span.rows);

  // What q makes of the state: the same product, with q for factors and the state's rows for values, 64 channels at a time.
  from_state = true;
  for (var base = 0u; base < SIZE; base += 64u) {
    first_channel = base;
    workgroupBarrier(); // the factors before may still be being read
    for (var i = lane; i < SPAN * 16u; i += LANES) {
      factors[i] = power(i / 16u + 1u) * query_at(i / 16u, base / 4u + i % 16u);
    }
    weigh_values(lane, at, min(64u, SIZE - base));
  }
  write_sums(at.y, at.x, sums0);
  if (CHANNELS4 > 16u) { write_sums(at.y, at.x + 16u, sums1); }
}
