/** Whether a stage fits into memory: told before anything is allocated where that is known, and explained where it shows later. */
import { type Backend, OutOfMemoryError } from "../backend/backend.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import type { StageSize } from "./size.ts";

type Part = "weights" | "states";

const GB = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

/**
 * Compares what a stage takes with what its device is known to hold, and where it computes on the CPU with the memory that is free.
 * @throws {RangeError} naming what to change
 */
export function checkRoom(
  { device, maxBytes, onHost }: Pick<Backend, "device" | "maxBytes" | "onHost">,
  size: StageSize,
  options: StageOptions,
  availableBytes: () => number = () => Deno.systemMemoryInfo().available,
): void {
  const needed = size.weightBytes + size.stateBytes + size.activationBytes;
  const largest: Part = size.stateBytes > size.weightBytes ? "states" : "weights";
  if (needed > maxBytes) throw refusal(device, `it holds ${GB(maxBytes)}`, largest, size, options);
  const available = onHost ? availableBytes() : Infinity;
  // Further stages would take theirs from the same memory.
  if (needed > available) throw refusal(device, `${GB(available)} of memory are free`, largest, size, options, []);
}

/** Says of an allocation that failed what the stage takes and what to change; other errors stay as they are. */
export function explained(error: unknown, { device }: Backend, size: StageSize, options: StageOptions): unknown {
  if (!(error instanceof OutOfMemoryError)) return error;
  const part = / of layer \d+$/.test(error.label) ? "states" : "weights";
  return refusal(device, `it has no room for ${error.label}`, part, size, options);
}

function refusal(
  device: string,
  why: string,
  part: Part,
  { weightBytes, stateBytes, activationBytes }: StageSize,
  { layers, quantize, slots, context }: StageOptions,
  stages: readonly string[] = ["more --stages"],
): RangeError {
  const changes = {
    weights: quantize === "q4" ? [] : ["--quantize q4"],
    states: ["a smaller --max-context", ...(slots > 1 ? ["fewer --max-sequences"] : [])],
  };
  const other = part === "weights" ? "states" : "weights";
  const all = [...changes[part], ...changes[other], ...stages];
  return new RangeError(
    `Cannot hold layers ${layers.start}-${layers.end - 1} on ${device}: ${why}, and they take ${
      GB(weightBytes)
    } of weights, ` +
      `${GB(stateBytes)} of states and caches for ${slots} x ${context} tokens and ${
        GB(activationBytes)
      } for a step; ` +
      `use ${new Intl.ListFormat("en", { type: "disjunction" }).format(all)}`,
  );
}
