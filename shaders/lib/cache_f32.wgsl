// Keys and values stored as f32: four channels to 16 bytes.

alias chunk = vec4f; // 16 bytes of a row
alias quad = vec4f; // four channels of a row

const QUADS_OF_CHUNK = 1u;

fn first_quad(held: chunk) -> vec4f { return held; }

fn second_quad(held: chunk) -> vec4f { return vec4f(); }

fn to_chunk(first: vec4f, second: vec4f) -> chunk { return first; }

fn quad_of(held: quad) -> vec4f { return held; }

// Eight channels as float16; what is larger would become infinite.
fn halves_of_quads(low: quad, high: quad) -> vec4u {
  let most = vec4f(65504.0);
  let a = clamp(low, -most, most);
  let b = clamp(high, -most, most);
  return vec4u(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}
