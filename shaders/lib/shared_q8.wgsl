// Weights of a shared expert that are stored as signed bytes, in groups of 32 with a float16 scale, beside routed experts in 4 bits:
// what weight_q8.wgsl and piece_q8.wgsl do, under names of its own, as WGSL has no other way to tell two types of weights apart.

alias shared_piece = vec4u;
alias shared_factor = u32; // of two groups

struct SharedPieces {
  a: shared_piece,
  b: shared_piece,
  c: shared_piece,
  d: shared_piece,
  factors: vec4u,
}

fn shared_factor_at(block: u32) -> u32 { return block / 2u; }

fn shared_codes(packed: u32) -> vec4f {
  return vec4f((vec4i(bitcast<i32>(packed)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

fn shared_fours(held: SharedPieces, j: u32) -> mat4x4f {
  return mat4x4f(shared_codes(held.a[j]), shared_codes(held.b[j]), shared_codes(held.c[j]), shared_codes(held.d[j]));
}

fn shared_weighed(products: vec4f, total: f32, held: SharedPieces, blocks: vec4u) -> vec4f {
  let own = held.factors >> (16u * (blocks & vec4u(1u)));
  return products * vec4f(unpack2x16float(own.x).x, unpack2x16float(own.y).x, unpack2x16float(own.z).x, unpack2x16float(own.w).x);
}
