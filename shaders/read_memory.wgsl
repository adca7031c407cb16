// Reads all of a buffer and keeps nothing, four independent loads a turn: as fast as this device's memory can be read.

@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let threads = grid.x * 256u;
  let count = arrayLength(&source);
  var sum = vec4u();
  for (var i = id.x; i < count; i += 4u * threads) {
    sum ^= source[i] ^ source[i + threads] ^ source[i + 2u * threads] ^ source[i + 3u * threads];
  }
  let folded = sum.x ^ sum.y ^ sum.z ^ sum.w;
  if (folded == 0x5eed1234u) { out[0] = folded; } // so that nothing can be left out
}
