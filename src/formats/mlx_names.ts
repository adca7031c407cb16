/** The names that mlx gives tensors, turned back: experts out of their stacks, and the router (spec d.3). */
import type { TensorEntry } from "./safetensors_header.ts";

const STACK = /^(.*\.mlp)\.switch_mlp\.((?:gate|up|down)_proj\.\w+)$/;
const ROUTER = /^(.*\.mlp\.gate)\.gate_proj\.(\w+)$/;

/** The tensors that an entry stands for: the matrices of a stack [E, …] by their vendor's names, or itself. */
export function* vendorTensors(entry: TensorEntry): Generator<TensorEntry> {
  const [, mlp, part] = STACK.exec(entry.name) ?? [];
  if (mlp === undefined || entry.end === entry.begin) { // a stack of nothing could have any number of parts
    yield { ...entry, name: entry.name.replace(ROUTER, "$1.$2") };
    return;
  }
  const [experts = 0, ...shape] = entry.shape;
  const bytes = (entry.end - entry.begin) / experts;
  for (let e = 0; e < experts; e++) {
    const begin = entry.begin + e * bytes;
    yield { ...entry, name: `${mlp}.experts.${e}.${part}`, shape, begin, end: begin + bytes };
  }
}
