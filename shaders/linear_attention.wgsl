// o_t = D^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t, in chunks of up to CHUNK rows of a segment (spec c.6):
// o_a = D^(-1/2) [exp(g(a+1)) q_a S + Σ_(b≤a) exp(g(a-b)) (q_a·k_b) v_b], S' = exp(g n) S + Σ_b exp(g(n-1-b)) k_b ⊗ v_b.
// One workgroup of LANES per segment, head and slice of COLUMNS · 4 value channels; a decode row is a chunk of one.
// SIZE: channels of a head, D.

const CHANNELS4 = SIZE / 4u;

struct Params {
  heads: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> qkv: array<vec4f>; // [T, 3, heads, D]
@group(0) @binding(3) var<storage, read> decay: array<f32>; // [heads, CHUNK + 1], exp(g n)
@group(0) @binding(4) var<storage, read_write> state: array<vec4f>; // [places, heads, D(k), D(v)]
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>; // [T, heads, D]

var<workgroup> slice: array<vec4f, SIZE * COLUMNS>; // S [D(k), COLUMNS · 4]
var<workgroup> pairs: array<f32, CHUNK * CHUNK>; // exp(g(a-b)) (q_a·k_b), for b ≤ a

// The first four channels of q (0), k (1) or v (2) of a head and row.
fn at(row: u32, which: u32, head: u32) -> u32 { return ((row * 3u + which) * params.heads + head) * CHANNELS4; }

fn score_pairs(lane: u32, row: u32, n: u32, head: u32) {
  for (var i = lane; i < n * n; i += LANES) {
    let a = i / n;
    let b = i % n;
    if (b <= a) {
      let q = at(row + a, 0u, head);
      let k = at(row + b, 1u, head);
      var product = vec4f();
      for (var c = 0u; c < CHANNELS4; c++) { product += qkv[q + c] * qkv[k + c]; }
      let factor = decay[head * (CHUNK + 1u) + a - b];
      pairs[a * CHUNK + b] = factor * (product.x + product.y + product.z + product.w);
    }
  }
}

fn attend(lane: u32, row: u32, n: u32, head: u32, first_column: u32) {
  for (var i = lane; i < n * COLUMNS; i += LANES) {
    let a = i / COLUMNS;
    let column = i % COLUMNS;
    let q = at(row + a, 0u, head);
    var before = vec4f();
    for (var c = 0u; c < CHANNELS4; c++) {
      let k = 4u * c * COLUMNS + column;
      let block = mat4x4f(slice[k], slice[k + COLUMNS], slice[k + 2u * COLUMNS], slice[k + 3u * COLUMNS]);
      before += block * qkv[q + c];
    }
    var within = vec4f();
    for (var b = 0u; b <= a; b++) {
      within += pairs[a * CHUNK + b] * qkv[at(row + b, 2u, head) + first_column + column];
    }
    let factor = decay[head * (CHUNK + 1u) + a + 1u];
    let to = ((row + a) * params.heads + head) * CHANNELS4 + first_column + column;
    out[to] = (factor * before + within) / sqrt(f32(SIZE));
  }
}

fn advance(lane: u32, row: u32, n: u32, head: u32, first_column: u32) {
  let powers = head * (CHUNK + 1u);
  for (var i = lane; i < SIZE * COLUMNS; i += LANES) {
    let channel = i / COLUMNS;
    let column = i % COLUMNS;
    var sum = decay[powers + n] * slice[i];
    for (var b = 0u; b < n; b++) {
      let k = qkv[at(row + b, 1u, head) + channel / 4u][channel % 4u];
      sum += decay[powers + n - 1u - b] * k * qkv[at(row + b, 2u, head) + first_column + column];
    }
    slice[i] = sum;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) grid: vec3u,
) {
  let slices = CHANNELS4 / COLUMNS;
  let first_column = flat(group, grid) % slices * COLUMNS;
  let head = flat(group, grid) / slices % params.heads;
  let index = flat(group, grid) / slices / params.heads;
  if (index >= step_segments()) { return; }
  let segment = step_segment(index);
  let bases = (segment.places * params.heads + head) * SIZE * CHANNELS4 + first_column;
  for (var i = lane; i < SIZE * COLUMNS; i += LANES) {
    let value = state[bases.x + i / COLUMNS * CHANNELS4 + i % COLUMNS];
    slice[i] = select(value, vec4f(), segment.start == 0u);
  }
  for (var done = 0u; done < segment.rows; done += CHUNK) {
    let row = segment.first + done;
    let n = min(CHUNK, segment.rows - done);
    score_pairs(lane, row, n, head);
    workgroupBarrier();
    attend(lane, row, n, head, first_column);
    workgroupBarrier();
    advance(lane, row, n, head, first_column);
    workgroupBarrier();
  }
  for (var i = lane; i < SIZE * COLUMNS; i += LANES) {
    state[bases.y + i / COLUMNS * CHANNELS4 + i % COLUMNS] = slice[i];
  }
}
