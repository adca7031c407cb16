// Eight neighbouring values as f16.

fn halves_of(values: mat2x4f) -> vec4u {
  return vec4u(
    pack2x16float(values[0].xy),
    pack2x16float(values[0].zw),
    pack2x16float(values[1].xy),
    pack2x16float(values[1].zw),
  );
}
