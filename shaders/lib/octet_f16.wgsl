// Eight channels of keys or values stored as float16.

alias cached8 = vec2<u64>;

fn halves(packed: u64) -> vec4f { return vec4f(unpack2x16float(u32(packed)), unpack2x16float(u32(packed >> 32u))); }

fn cached_octet(held: cached8) -> Octet { return Octet(halves(held.x), halves(held.y)); }
