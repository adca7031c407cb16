// A step's rows in spans of at most SPAN neighbours of one segment, counted through all segments.

struct Span {
  first: u32, // row
  rows: u32, // 0 past the last span
  position: u32, // of the first row
}

fn spans_of(rows: u32) -> u32 { return (rows + SPAN - 1u) / SPAN; }

fn span_at(index: u32) -> Span {
  var before = 0u;
  for (var s = 0u; s < step_segments(); s++) {
    let segment = step_segment(s);
    let spans = spans_of(segment.rows);
    if (index < before + spans) {
      let done = (index - before) * SPAN;
      return Span(segment.first + done, min(SPAN, segment.rows - done), segment.start + done);
    }
    before += spans;
  }
  return Span(0u, 0u, 0u);
}
