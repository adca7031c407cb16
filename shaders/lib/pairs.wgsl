// Two f32 in each u64. Devices that compute on a CPU load for one lane after the other, and pay for every component that is loaded and no
// more for one of 64 bits.

alias f32x8 = vec4<u64>;

fn pair_of(packed: u64) -> vec2f { return bitcast<vec2f>(vec2u(u32(packed), u32(packed >> 32u))); }

fn packed_of(pair: vec2f) -> u64 { return u64(bitcast<u32>(pair.x)) | (u64(bitcast<u32>(pair.y)) << 32u); }

fn packed8(low: vec4f, high: vec4f) -> f32x8 {
  return f32x8(packed_of(low.xy), packed_of(low.zw), packed_of(high.xy), packed_of(high.zw));
}
