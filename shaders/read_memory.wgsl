// Reads all of a buffer and keeps nothing: LOADS times 16 bytes a thread, a workgroup's next to each other.

@group(0) @binding(0) var<storage, read> source: array<vec4u>; // [workgroups, LOADS, LANES]
@group(0) @binding(1) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let begin = group.x * LOADS * LANES + lane;
  var sum = vec4u();
  for (var i = 0u; i < LOADS; i += 4u) {
    let at = begin + i * LANES;
    sum ^= source[at] ^ source[at + LANES] ^ source[at + 2u * LANES] ^ source[at + 3u * LANES];
  }
  let folded = sum.x ^ sum.y ^ sum.z ^ sum.w;
  if (folded == 0x5eed1234u) { out[0] = folded; } // so that nothing can be left out
}
