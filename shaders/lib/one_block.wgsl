// Keys and values of one block of pages: a kernel goes through several of them one after the other.

@group(0) @binding(20) var<storage, read_write> keys: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]
@group(0) @binding(21) var<storage, read_write> values: array<chunk>; // [pages, kv_heads, PAGE, CHUNKS]

// The page's number in the block; past its pages if it lies in another.
fn page_in_block(page: u32) -> u32 { return page - params.first; } // wraps around if it is in a block before

fn four_keys(i: vec4u) -> Chunks { return Chunks(keys[i.x], keys[i.y], keys[i.z], keys[i.w]); }

fn four_values(i: vec4u) -> Chunks { return Chunks(values[i.x], values[i.y], values[i.z], values[i.w]); }

fn keys_at(i: vec4u, j: vec4u) -> Eight { return Eight(four_keys(i), four_keys(j)); }

fn values_at(i: vec4u, j: vec4u) -> Eight { return Eight(four_values(i), four_values(j)); }

fn hold_key(i: u32, key: chunk) { keys[i] = key; }

fn hold_value(i: u32, value: chunk) { values[i] = value; }
