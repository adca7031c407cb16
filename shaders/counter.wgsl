// count += 1: proves at start-up that what is read back is new.
// One thread.

@group(0) @binding(0) var<storage, read_write> count: array<u32>; // [1]

@compute @workgroup_size(1)
fn main() { count[0] += 1u; }
