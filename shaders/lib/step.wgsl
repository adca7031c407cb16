// The step, all that changes from run to run, and a workgroup's number in a grid that was folded to fit.

@group(0) @binding(0) var<storage, read> step: array<vec4u>; // header [2], tokens [T], rows [T], segments [S], outputs [R / 4], draws (draw.wgsl), pages

struct Row {
  token: u32,
  position: u32,
  places: vec2u, // of its sequence's states: read at x, written at y
  pages: u32, // word at which the pages of its sequence begin
}

struct Segment {
  first: u32, // row
  rows: u32,
  places: vec2u, // as a row's
  start: u32, // position of the first row
}

// Two places in a word.
fn places_of(word: u32) -> vec2u { return vec2u(word & 0xffffu, word >> 16u); }

fn step_rows() -> u32 { return step[0].x; }

fn step_segments() -> u32 { return step[0].y; }

fn step_outputs() -> u32 { return step[0].z; }

fn step_row(t: u32) -> Row {
  let row = step[step[1].w + t];
  return Row(step[2u + t].x, row.y, places_of(row.z), row.w);
}

fn step_segment(s: u32) -> Segment {
  let segment = step[step[1].x + s];
  return Segment(segment.x, segment.y, places_of(segment.z), segment.w);
}

// The row of the r-th output.
fn step_output(r: u32) -> u32 { return step[step[1].y + r / 4u][r % 4u]; }

// The page of a sequence's n-th stretch of positions.
fn step_page(pages: u32, n: u32) -> u32 { return step[(pages + n) / 4u][(pages + n) % 4u]; }

// A dimension of a grid has at most 65,535 workgroups, so that more of them are folded into y.
fn flat(group: vec3u, grid: vec3u) -> u32 { return group.x + group.y * grid.x; }
