/** On how many different devices stages are, by how they are opened. */
import type { LoadOptions } from "./options.ts";
import { gpusOf, type Settled } from "./settle.ts";

/** Whether it is said how the layers are cut. */
export const asksForStages = (options: LoadOptions): boolean =>
  options.stages !== undefined || options.layers !== undefined || gpusOf(options).length > 1;

/**
 * How many devices of so many stages can work at the same time: GPUs of different names; and stages on the CPU that were asked for, as far as
 * there are processors for the `threads` of each.
 */
export function deviceCount(options: LoadOptions & Settled & { readonly threads: number }, stages: number): number {
  if (options.backend === "webgpu") return new Set(options.gpu).size;
  if (!asksForStages(options)) return 1;
  return Math.max(1, Math.min(stages, Math.floor(navigator.hardwareConcurrency / options.threads)));
}
