// Reads all of a buffer and keeps nothing: LOADS times 16 bytes a thread, a workgroup's next to each other.

@group(0) @binding(0) var<storage, read> source: array<vec4u>; // [workgroups, LOADS, 256]
@group(0) @binding(1) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let begin = group.x * LOADS * 256u + lane;
  var sum = vec4u();
  for (var i = 0u; i < LOADS; i += 4u) {
    let at = begin + i * 256u;
    sum ^= source[at] ^ source[at + 256u] ^ source[at + 512u] ^ source[at + 768u];
  }
  let folded = sum.x ^ sum.y ^ sum.z ^ sum.w;
  if (folded == 0x5eed1234u) { out[0] = folded; } // so that nothing can be left out
}
