// Keys and values of up to eight blocks of pages at once: where there are fewer, something small is bound. Which of them holds a unit is the
// same for a whole workgroup; all that a lane reads at once is read behind one choice.

@group(0) @binding(20) var<storage, read_write> keys0: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(21) var<storage, read_write> values0: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(22) var<storage, read_write> keys1: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(23) var<storage, read_write> values1: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(24) var<storage, read_write> keys2: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(25) var<storage, read_write> values2: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(26) var<storage, read_write> keys3: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(27) var<storage, read_write> values3: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(28) var<storage, read_write> keys4: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(29) var<storage, read_write> values4: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(30) var<storage, read_write> keys5: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(31) var<storage, read_write> values5: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(32) var<storage, read_write> keys6: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(33) var<storage, read_write> values6: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(34) var<storage, read_write> keys7: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(35) var<storage, read_write> values7: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]

var<private> block: u32; // that holds the unit

// The page's number in its block, which is chosen; past all pages if it lies in none of them.
fn page_in_block(page: u32) -> u32 {
  let index = page - params.first; // wraps around if it is in a block before
  if (index >= params.count) { return params.count; }
  var start = 0u;
  if (index >= params.start1) {
    block = 1u;
    start = params.start1;
  }
  if (index >= params.start2) {
    block = 2u;
    start = params.start2;
  }
  if (index >= params.start3) {
    block = 3u;
    start = params.start3;
  }
  if (index >= params.start4) {
    block = 4u;
    start = params.start4;
  }
  if (index >= params.start5) {
    block = 5u;
    start = params.start5;
  }
  if (index >= params.start6) {
    block = 6u;
    start = params.start6;
  }
  if (index >= params.start7) {
    block = 7u;
    start = params.start7;
  }
  return index - start;
}

fn four_keys0(i: vec4u) -> Chunks { return Chunks(keys0[i.x], keys0[i.y], keys0[i.z], keys0[i.w]); }
fn four_keys1(i: vec4u) -> Chunks { return Chunks(keys1[i.x], keys1[i.y], keys1[i.z], keys1[i.w]); }
fn four_keys2(i: vec4u) -> Chunks { return Chunks(keys2[i.x], keys2[i.y], keys2[i.z], keys2[i.w]); }
fn four_keys3(i: vec4u) -> Chunks { return Chunks(keys3[i.x], keys3[i.y], keys3[i.z], keys3[i.w]); }
fn four_keys4(i: vec4u) -> Chunks { return Chunks(keys4[i.x], keys4[i.y], keys4[i.z], keys4[i.w]); }
fn four_keys5(i: vec4u) -> Chunks { return Chunks(keys5[i.x], keys5[i.y], keys5[i.z], keys5[i.w]); }
fn four_keys6(i: vec4u) -> Chunks { return Chunks(keys6[i.x], keys6[i.y], keys6[i.z], keys6[i.w]); }
fn four_keys7(i: vec4u) -> Chunks { return Chunks(keys7[i.x], keys7[i.y], keys7[i.z], keys7[i.w]); }

fn four_values0(i: vec4u) -> Chunks { return Chunks(values0[i.x], values0[i.y], values0[i.z], values0[i.w]); }
fn four_values1(i: vec4u) -> Chunks { return Chunks(values1[i.x], values1[i.y], values1[i.z], values1[i.w]); }
fn four_values2(i: vec4u) -> Chunks { return Chunks(values2[i.x], values2[i.y], values2[i.z], values2[i.w]); }
fn four_values3(i: vec4u) -> Chunks { return Chunks(values3[i.x], values3[i.y], values3[i.z], values3[i.w]); }
fn four_values4(i: vec4u) -> Chunks { return Chunks(values4[i.x], values4[i.y], values4[i.z], values4[i.w]); }
fn four_values5(i: vec4u) -> Chunks { return Chunks(values5[i.x], values5[i.y], values5[i.z], values5[i.w]); }
fn four_values6(i: vec4u) -> Chunks { return Chunks(values6[i.x], values6[i.y], values6[i.z], values6[i.w]); }
fn four_values7(i: vec4u) -> Chunks { return Chunks(values7[i.x], values7[i.y], values7[i.z], values7[i.w]); }

fn keys_at(i: vec4u, j: vec4u) -> Eight {
  switch (block) {
    case 1u: { return Eight(four_keys1(i), four_keys1(j)); }
    case 2u: { return Eight(four_keys2(i), four_keys2(j)); }
    case 3u: { return Eight(four_keys3(i), four_keys3(j)); }
    case 4u: { return Eight(four_keys4(i), four_keys4(j)); }
    case 5u: { return Eight(four_keys5(i), four_keys5(j)); }
    case 6u: { return Eight(four_keys6(i), four_keys6(j)); }
    case 7u: { return Eight(four_keys7(i), four_keys7(j)); }
    default: { return Eight(four_keys0(i), four_keys0(j)); }
  }
}

fn values_at(i: vec4u, j: vec4u) -> Eight {
  switch (block) {
    case 1u: { return Eight(four_values1(i), four_values1(j)); }
    case 2u: { return Eight(four_values2(i), four_values2(j)); }
    case 3u: { return Eight(four_values3(i), four_values3(j)); }
    case 4u: { return Eight(four_values4(i), four_values4(j)); }
    case 5u: { return Eight(four_values5(i), four_values5(j)); }
    case 6u: { return Eight(four_values6(i), four_values6(j)); }
    case 7u: { return Eight(four_values7(i), four_values7(j)); }
    default: { return Eight(four_values0(i), four_values0(j)); }
  }
}

fn hold_key(i: u32, key: chunk) {
  switch (block) {
    case 1u: { keys1[i] = key; }
    case 2u: { keys2[i] = key; }
    case 3u: { keys3[i] = key; }
    case 4u: { keys4[i] = key; }
    case 5u: { keys5[i] = key; }
    case 6u: { keys6[i] = key; }
    case 7u: { keys7[i] = key; }
    default: { keys0[i] = key; }
  }
}

fn hold_value(i: u32, value: chunk) {
  switch (block) {
    case 1u: { values1[i] = value; }
    case 2u: { values2[i] = value; }
    case 3u: { values3[i] = value; }
    case 4u: { values4[i] = value; }
    case 5u: { values5[i] = value; }
    case 6u: { values6[i] = value; }
    case 7u: { values7[i] = value; }
    default: { values0[i] = value; }
  }
}
