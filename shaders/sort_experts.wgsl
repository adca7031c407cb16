// The choices (t, k) of a step by expert: tiles of at most TILE_ROWS choices that share one, then the choices t · PER_ROW + k
// themselves, those of expert 0 first. A tile is its expert, its first place among the choices and how many there are; past the last
// tile there are tiles of none.
// One workgroup of LANES per expert. Each counts all choices, so that none waits for another and nothing is left to chance.

struct Params {
  tiles: u32, // at most
  choices: u32, // at most
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> ids: array<u32>; // [T, PER_ROW]
@group(0) @binding(3) var<storage, read_write> places: array<u32>; // [tiles, 4] tiles, then [T, PER_ROW] choices

var<workgroup> counts: array<atomic<u32>, EXPERTS>;

fn tiles_of(count: u32) -> u32 { return (count + TILE_ROWS - 1u) / TILE_ROWS; }

@compute @workgroup_size(LANES)
fn main(lane: Lane, @builtin(workgroup_id) group: vec3u) {
  let expert = group.x;
  let first = ids[min(lane.index, params.choices - 1u)]; // on its way while the step is read
  let choices = step_rows() * PER_ROW;
  for (var e = lane.index; e < EXPERTS; e += LANES) { atomicStore(&counts[e], 0u); }
  workgroupBarrier();
  var own = 0u; // choices of this expert that the lane goes by
  var id = first;
  for (var i = lane.index; i < choices; i += LANES) {
    if (i >= LANES) { id = ids[i]; }
    atomicAdd(&counts[id], 1u);
    own += u32(id == expert);
  }
  let found = sum_before(lane, own);
  workgroupBarrier(); // behind which all are counted

  var before = vec2u(); // choices and tiles of lower experts
  for (var e = lane.index; e < expert; e += LANES) {
    let count = atomicLoad(&counts[e]);
    before += vec2u(count, tiles_of(count));
  }
  let sums = vec2u(sum_lanes4(lane, vec4f(vec2f(before), 0.0, 0.0)).xy);
  let count = atomicLoad(&counts[expert]);
  var place = 4u * params.tiles + sums.x + found;
  id = first;
  for (var i = lane.index; i < choices; i += LANES) {
    if (i >= LANES) { id = ids[i]; }
    if (id == expert) {
      places[place] = i;
      place += 1u;
    }
  }
  let end = select(sums.y + tiles_of(count), params.tiles, expert == EXPERTS - 1u);
  for (var tile = sums.y + lane.index; tile < end; tile += LANES) {
    let done = min((tile - sums.y) * TILE_ROWS, count);
    places[4u * tile] = expert;
    places[4u * tile + 1u] = sums.x + done;
    places[4u * tile + 2u] = min(TILE_ROWS, count - done);
  }
}
