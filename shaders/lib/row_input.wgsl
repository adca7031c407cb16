// Rows of x as products read them: up to ROWS of them, with the sums of their squares. The kernel says what x becomes on the way: input_at.
// Where lanes take pieces of several vec4s, neighbours of which they would read from lines of memory apart, one row by itself is
// held in workgroup memory; else every lane reads it.

const HELD = PIECE > 1u && ROWS == 1u && COLUMNS <= 512u;
const SPAN = PIECES + 1u; // so that neighbours are written to different banks
const HELD_SIZE = select(1u, PIECE * SPAN, HELD);

// Columns of a lane whose reads are under way at once: loops that must be bounded are not unrolled by the compiler.
const PREPARED = select(select(1u, 2u, COLUMNS % (2u * LANES) == 0u), 4u, COLUMNS % (4u * LANES) == 0u);

var<workgroup> held_input: array<vec4f, HELD_SIZE>; // [PIECE, PIECES]

var<private> squares: vec4f; // of up to four rows

// Σ x² over columns 4i … 4i + 3, for each row.
fn squares_at(sources: vec4u, i: u32) -> vec4f {
  let a = x[sources.x + i];
  if (ROWS == 1u) { return vec4f(dot(a, a), 0.0, 0.0, 0.0); }
  let b = x[sources.y + i];
  if (ROWS == 2u) { return vec4f(dot(a, a), dot(b, b), 0.0, 0.0); }
  let c = x[sources.z + i];
  let d = x[sources.w + i];
  return vec4f(dot(a, a), dot(b, b), dot(c, c), dot(d, d));
}

// 1 over the root of the mean square of `count` elements.
fn to_scales(sums: vec4f, count: u32) -> vec4f { return 1.0 / sqrt(sums / f32(count) + params.epsilon); }

fn held_place(i: u32) -> u32 { return i % PIECE * SPAN + i / PIECE; }

fn prepare_at(sources: vec4u, i: u32) {
  if (NORM) { squares += squares_at(sources, i); }
  if (HELD) { held_input[held_place(i)] = input_at(sources.x, i, 0u); }
}

// What is done before lanes take pieces of several vec4s.
fn prepare(lane: Lane, sources: vec4u) {
  if (PIECE == 1u || !(NORM || HELD)) { return; }
  for (var i = lane.index; i < COLUMNS; i += PREPARED * LANES) {
    prepare_at(sources, i);
    if (PREPARED > 1u) { prepare_at(sources, i + LANES); }
    if (PREPARED > 2u) {
      prepare_at(sources, i + 2u * LANES);
      prepare_at(sources, i + 3u * LANES);
    }
  }
  if (NORM) { begin_sum4(lane, squares); }
  workgroupBarrier();
}

// 1 over the root of each row's mean square, where those were found at first.
fn prepared_scales(lane: Lane) -> vec4f { return to_scales(end_sum4(lane), 4u * COLUMNS); }

struct Found {
  sums: vec4f, // a team's
  scales: vec4f, // of all rows, 1 over the roots of their mean squares if NORM
}

fn sums_and_scales(lane: Lane, sums: vec4f) -> Found {
  if (!NORM) { return Found(sum_team4(lane, sums), vec4f(1.0)); }
  if (PIECE > 1u) {
    let scales = prepared_scales(lane);
    return Found(sum_team4(lane, sums), scales);
  }
  let both = sum_team8(lane, mat2x4f(sums, squares));
  return Found(both[0], to_scales(both[1], 4u * COLUMNS));
}

// Adds the squares of small pieces on the way.
fn note_squares(sources: vec4u, i: u32) {
  if (NORM && PIECE == 1u) { squares += squares_at(sources, i); }
}

fn input(source: u32, i: u32, row: u32) -> vec4f {
  if (HELD) { return held_input[held_place(i)]; }
  return input_at(source, i, row);
}
