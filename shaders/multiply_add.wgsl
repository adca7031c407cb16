// Multiplies and adds in registers, ROUNDS times 8 vec4f a thread: as fast as this device computes in f32.

@group(0) @binding(0) var<storage, read_write> out: array<f32>; // [1]

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let start = vec4f(f32(id.x & 7u));
  let factor = vec4f(0.999);
  var a = start;
  var b = start + 1.0;
  var c = start + 2.0;
  var d = start + 3.0;
  var e = start + 4.0;
  var f = start + 5.0;
  var g = start + 6.0;
  var h = start + 7.0;
  for (var i = 0u; i < ROUNDS; i++) {
    a = fma(a, factor, start);
    b = fma(b, factor, start);
    c = fma(c, factor, start);
    d = fma(d, factor, start);
    e = fma(e, factor, start);
    f = fma(f, factor, start);
    g = fma(g, factor, start);
    h = fma(h, factor, start);
  }
  let sum = a + b + c + d + e + f + g + h;
  if (sum.x + sum.y + sum.z + sum.w == -1.0) { out[0] = sum.x; } // so that nothing can be left out
}
