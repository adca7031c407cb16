// Weights of a shared expert that are stored as signed bytes, in groups of 32 with a float16 scale, beside routed experts in 4 bits:
// what weight_q8.wgsl does, under names of its own, as WGSL has no other way to tell two types of weights apart.

alias shared4 = u32;
alias shared_factor = u32; // of two groups

fn shared4_at(i: u32) -> u32 { return i; }

fn load_shared4(packed: shared4, i: u32) -> vec4f {
  return vec4f((vec4i(bitcast<i32>(packed)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

fn shared_factor_at(block: u32) -> u32 { return block / 2u; }

fn scaled_shared(codes: vec4f, packed: shared_factor, block: u32) -> vec4f {
  let scales = unpack2x16float(packed);
  return codes * select(scales.x, scales.y, (block & 1u) == 1u);
}
