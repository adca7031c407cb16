/** Whether a stage fits into memory: told before anything is allocated where that is known, and explained where it shows later. */
import { type Backend, OutOfMemoryError } from "../backend/backend.ts";
import type { StageOptions } from "../pipeline/messages.ts";
import type { StageSize } from "./size.ts";

export { hostRoom } from "../model/host_memory.ts";

/** What of a stage's options decides how much it takes. */
type Cut = Pick<StageOptions, "layers" | "quantize" | "slots" | "smaller">;

type Part = "weights" | "states";

/** Of all that a stage takes; to lower less is no advice. */
const WORTHWHILE_SHARE = 0.1;

/** `4.2 GB`, or `12.5 MB`. */
export const shown = (bytes: number) =>
  bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

/**
 * Compares what a stage takes at once, without the keys and values of sequences to come, with what its device is known to hold, and where it computes on the CPU with the memory that is free.
 * @throws {RangeError} naming what to change
 */
export function checkRoom(
  { device, maxBytes, onHost }: Pick<Backend, "device" | "maxBytes" | "onHost">,
  size: StageSize,
  options: Cut,
  availableBytes: () => number = () => Deno.systemMemoryInfo().available,
): void {
  const needed = size.weightBytes + size.stateBytes + size.activationBytes;
  const largest = largestPart(size);
  if (needed > maxBytes) throw refusal(device, `it holds ${shown(maxBytes)}`, largest, size, options);
  const available = onHost ? availableBytes() : Infinity;
  // Further stages would take theirs from the same memory.
  if (needed > available) throw refusal(device, `${shown(available)} of memory are free`, largest, size, options, []);
}

/** What takes most. */
export const largestPart = ({ stateBytes, weightBytes }: StageSize): Part =>
  stateBytes > weightBytes ? "states" : "weights";

/** Says of an allocation that failed what the stage takes and what to change; other errors stay as they are. */
export function explained(error: unknown, { device }: Backend, size: StageSize, options: Cut): unknown {
  if (!(error instanceof OutOfMemoryError)) return error;
  // States and caches are called so where they are made; everything else is weights, or small.
  const part = / of layer \d+$/.test(error.label) ? "states" : "weights";
  return refusal(device, `it has no room for ${error.label}`, part, size, options);
}

/** Says that there is no room for layers of a model, and what to change: `part`, by other ways than more `stages` if these are of no use. */
export function refusal(
  device: string,
  why: string,
  part: Part,
  size: StageSize,
  options: Cut,
  stages: readonly string[] = [options.smaller ?? "more --stages"],
): RangeError {
  const { weightBytes, stateBytes, activationBytes } = size;
  const { layers, slots } = options;
  const alone = layers.end - layers.start === 1;
  const what = alone ? `layer ${layers.start}` : `layers ${layers.start}-${layers.end - 1}`;
  return new RangeError(
    `Cannot hold ${what} on ${device}: ${why}, and ${alone ? "it takes" : "they take"} ` +
      `${shown(weightBytes)} of weights, ${shown(stateBytes)} of states for ${slots} sequence${
        slots > 1 ? "s" : ""
      } and ` +
      `${shown(activationBytes)} for a step; use ${advice(part, size, options, stages)}`,
  );
}

/** What makes the part smaller that was too much, then the other one if that is much. */
function advice(
  part: Part,
  { weightBytes, stateBytes }: StageSize,
  { quantize, slots }: Cut,
  stages: readonly string[],
): string {
  const changes = {
    weights: quantize === "q4" ? [] : ["--quantize q4"],
    states: slots > 1 ? ["fewer --max-sequences"] : [],
  };
  const [other, otherBytes] = part === "weights" ? ["states", stateBytes] as const : ["weights", weightBytes] as const;
  const worthwhile = otherBytes > WORTHWHILE_SHARE * (weightBytes + stateBytes) ? changes[other] : [];
  const all = [...changes[part], ...worthwhile, ...stages];
  return all.length > 0 ? new Intl.ListFormat("en", { type: "disjunction" }).format(all) : "a device with more memory";
}
