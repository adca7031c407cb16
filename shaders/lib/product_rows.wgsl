// Products of up to ROWS rows of x with a tile's four outputs, as one lane of a team of TEAM adds them up over its pieces of the columns.
// ROWS: 1, 2 or 4. The kernel says where pieces are, and what is multiplied with them: pieces_at, input. It may add up the squares of small
// pieces' inputs on the way: note_squares.

// Of each row: the products with the four outputs.
var<private> sums0: vec4f;
var<private> sums1: vec4f;
var<private> sums2: vec4f;
var<private> sums3: vec4f;

// The same but for factors, of one piece if it has any, and the sums of the inputs.
var<private> parts0: vec4f;
var<private> parts1: vec4f;
var<private> parts2: vec4f;
var<private> parts3: vec4f;
var<private> totals: vec4f;

// w holds the weights at columns 4i … 4i + 3.
fn add_four(sources: vec4u, i: u32, w: mat4x4f) {
  note_squares(sources, i);
  let y = input(sources.x, i, 0u);
  parts0 += y * w;
  if (MINIMA) { totals.x += dot(y, vec4f(1.0)); }
  if (ROWS > 1u) {
    let y1 = input(sources.y, i, 1u);
    parts1 += y1 * w;
    if (MINIMA) { totals.y += dot(y1, vec4f(1.0)); }
  }
  if (ROWS > 2u) {
    let y2 = input(sources.z, i, 2u);
    let y3 = input(sources.w, i, 3u);
    parts2 += y2 * w;
    parts3 += y3 * w;
    if (MINIMA) { totals += vec4f(0.0, 0.0, dot(y2, vec4f(1.0)), dot(y3, vec4f(1.0))); }
  }
}

fn clear_parts() {
  parts0 = vec4f();
  parts1 = vec4f();
  parts2 = vec4f();
  parts3 = vec4f();
  totals = vec4f();
}

fn add_pieces(sources: vec4u, tile: Tile, p: u32, held: Pieces) {
  if (SCALED) { clear_parts(); }
  let i = PIECE * p;
  add_four(sources, i, fours(held, 0u));
  if (PIECE > 1u) {
    add_four(sources, i + 1u, fours(held, 1u));
    add_four(sources, i + 2u, fours(held, 2u));
    add_four(sources, i + 3u, fours(held, 3u));
  }
  if (!SCALED) { return; }
  let blocks = factor_indices(tile, i, COLUMNS);
  sums0 += weighed(parts0, totals.x, held.factors, blocks);
  if (ROWS > 1u) { sums1 += weighed(parts1, totals.y, held.factors, blocks); }
  if (ROWS > 2u) {
    sums2 += weighed(parts2, totals.z, held.factors, blocks);
    sums3 += weighed(parts3, totals.w, held.factors, blocks);
  }
}

// `first` is the lane's first piece if pieces are big: read ahead as each one is, and before anything that others wait for.
fn add_all(sources: vec4u, tile: Tile, own: u32, first: Pieces) {
  clear_parts();
  if (PIECE == 1u) { add_small(sources, tile, own); } else { add_big(sources, tile, own, first); }
  take_parts();
}

// Without factors the parts are the sums.
fn take_parts() {
  if (SCALED) { return; }
  sums0 = parts0;
  sums1 = parts1;
  sums2 = parts2;
  sums3 = parts3;
}

// A lane's first piece, or the row's last one where it has none.
fn first_pieces(tile: Tile, own: u32) -> Pieces { return pieces_at(tile, min(own, PIECES - 1u)); }

fn add_small(sources: vec4u, tile: Tile, own: u32) {
  for (var p = own; p < PIECES; p += TURNS * TEAM) {
    add_pieces(sources, tile, p, pieces_at(tile, p));
    if (TURNS > 1u) { add_pieces(sources, tile, p + TEAM, pieces_at(tile, p + TEAM)); }
    if (TURNS > 2u) {
      add_pieces(sources, tile, p + 2u * TEAM, pieces_at(tile, p + 2u * TEAM));
      add_pieces(sources, tile, p + 3u * TEAM, pieces_at(tile, p + 3u * TEAM));
    }
  }
}

fn add_big(sources: vec4u, tile: Tile, own: u32, first: Pieces) {
  var next = first;
  for (var p = own; p < PIECES; p += TEAM) {
    let held = next;
    if (PIECES > TEAM) { next = pieces_at(tile, min(p + TEAM, PIECES - 1u)); }
    add_pieces(sources, tile, p, held);
  }
}
