// Weights stored as float8 E4M3: sign, 4 bits of exponent with bias 7, 3 of mantissa; 0x7f and 0xff are NaN (spec d.1).

alias weight4 = u32;

fn weight4_at(i: u32) -> u32 { return i; }

fn load_weight4(packed: weight4, i: u32) -> vec4f {
  let code = (vec4u(packed) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
  let magnitude = code & vec4u(0x7fu);
  let normal = (magnitude << vec4u(20u)) + vec4u(120u << 23u); // the exponent's bias is 127 now
  let subnormal = bitcast<vec4u>(vec4f(magnitude) * 0.001953125); // 2^-9
  var bits = select(normal, subnormal, magnitude < vec4u(8u));
  bits = select(bits, vec4u(0x7fc00000u), magnitude == vec4u(0x7fu));
  return bitcast<vec4f>(bits | ((code & vec4u(0x80u)) << vec4u(24u)));
}
