// Keys and values stored as f32: four channels to 16 bytes.

alias chunk = vec4f; // 16 bytes of a row
alias quad = vec4f; // four channels of a row

const QUADS_OF_CHUNK = 1u;

fn first_quad(held: chunk) -> vec4f { return held; }

fn second_quad(held: chunk) -> vec4f { return vec4f(); }

fn to_chunk(first: vec4f, second: vec4f) -> chunk { return first; }

fn quad_of(held: quad) -> vec4f { return held; }
