// Eight channels of keys or values stored as f32.

alias cached8 = f32x8;

fn cached_octet(held: cached8) -> Octet { return octet_at(held); }
