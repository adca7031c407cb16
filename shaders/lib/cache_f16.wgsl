// Keys and values stored as float16: eight channels to 16 bytes; the device need not know the type.

alias chunk = vec4u; // 16 bytes of a row
alias quad = vec2u; // four channels of a row

const QUADS_OF_CHUNK = 2u;
const LARGEST_HALF = 65504.0;

fn first_quad(held: chunk) -> vec4f { return quad_of(held.xy); }

fn second_quad(held: chunk) -> vec4f { return quad_of(held.zw); }

fn to_chunk(first: vec4f, second: vec4f) -> chunk { return chunk(to_quad(first), to_quad(second)); }

fn quad_of(held: quad) -> vec4f { return vec4f(unpack2x16float(held.x), unpack2x16float(held.y)); }

fn to_quad(values: vec4f) -> quad {
  let held = clamp(values, vec4f(-LARGEST_HALF), vec4f(LARGEST_HALF)); // what is larger would become infinite
  return quad(pack2x16float(held.xy), pack2x16float(held.zw));
}

// Eight channels as float16.
fn halves_of_quads(low: quad, high: quad) -> vec4u { return vec4u(low, high); }
