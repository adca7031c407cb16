/** Which variants of the kernels are the fastest on a device: timed in turn, in the product that decoding consists of. */
import type { GpuProvider, KernelChoice } from "../../pipeline/messages.ts";
import type { Weight } from "../tensor.ts";
import { Clock } from "./clock.ts";
import { decodeProduct } from "./decode_products.ts";
import { Device, USUAL_KERNELS } from "./device.ts";
import { fill } from "./fill.ts";
import { Kernels } from "./kernel.ts";
import { Memory } from "./memory.ts";
import { Readback } from "./readback.ts";
import { Recording } from "./recording.ts";

/** A matrix of 8 MiB in bf16, of the size that a layer's have: what threads must share out is short. */
const SIDE = 2048;

/** Matrices read one after the other: on a GPU more than its caches hold. */
const COPIES = { hardware: 8, software: 1 } as const;

/** Long enough for the clock. */
const ENOUGH_MILLIS = 2;

/** Odd, for the median; as many as there is time for. */
const ROUNDS = 15;
const MEASURE_MILLIS = 400;

const STEP = {
  segments: [{ slot: 0, start: 0, rows: 1 }],
  outputs: new Uint32Array(),
  rows: new Uint32Array(),
};

/** How much faster than the usual choice another must be, and in how large a share of the rounds, to be taken for faster. */
const MARGIN = 0.03;
const SURE = 0.75;

/** What one of several choices took. */
export interface Timing<Choice> {
  readonly choice: Choice;
  /** The median. */
  readonly millis: number;
}

export interface KernelTiming extends Timing<KernelChoice> {
  /** The share of the rounds in which it was clearly faster than the usual choice. */
  readonly wins: number;
}

/** The fastest choice, or the usual one, which is the first, where none is surely faster: noise does not decide. */
export function fastest(timings: readonly KernelTiming[]): KernelChoice {
  const [usual, ...others] = timings as readonly [KernelTiming, ...KernelTiming[]];
  const better = others.filter(({ wins, millis }) => wins >= SURE && millis < (1 - MARGIN) * usual.millis);
  return [usual, ...better].reduce((best, timing) => timing.millis < best.millis ? timing : best).choice;
}

/** The choices that a device has, the usual one first. */
export function kernelChoices({ gpu, software }: Pick<Device, "gpu" | "software">): KernelChoice[] {
  const { subgroups, threads } = USUAL_KERNELS;
  const adding = gpu.features.has("subgroups") ? [subgroups, !subgroups] : [subgroups];
  const sharing = software ? [threads] : [threads, threads / 2, threads / 4]; // a processor's are a subgroup
  return sharing.flatMap((threads) => adding.map((subgroups) => ({ subgroups, threads })));
}

/**
 * Milliseconds of a product in each choice, the usual one first; takes less than a second.
 * @throws as {@linkcode Device.open} does, and if the device refuses
 */
export async function timeKernels(gpu: GpuProvider): Promise<KernelTiming[]> {
  using device = await Device.open({ gpu, timed: true });
  const choices = kernelChoices(device);
  const [usual] = choices;
  if (choices.length === 1) return [{ choice: usual!, millis: 0, wins: 0 }];
  const memory = new Memory(device);
  const kernels = new Kernels(device, memory);
  const clock = new Clock(device, memory, await Readback.open(device, memory, kernels));
  const rounds = await inTurn(clock, productPasses(device, memory, kernels, choices));
  return choices.map((choice, i) => ({
    choice,
    millis: median(rounds.map((round) => round[i]!)),
    wins: rounds.filter((round) => round[i]! < (1 - MARGIN) * round[0]!).length / rounds.length,
  }));
}

type Pass = (encoder: GPUComputePassEncoder) => void;

/** What runs a product with every matrix, in each choice. */
function productPasses(device: Device, memory: Memory, kernels: Kernels, choices: readonly KernelChoice[]): Pass[] {
  const [x, out] = ["x", "out"].map((label) => memory.tensor(label, "f32", [1, SIDE]));
  fill(device, kernels, x!, { seed: 1, spread: 1, centre: 0 });
  const count = COPIES[device.software ? "software" : "hardware"];
  const weights = Array.from({ length: count }, (_, i): Weight => {
    const values = memory.tensor(`weight ${i}`, "bf16", [SIDE, SIDE]);
    fill(device, kernels, values, { seed: i, spread: 1 / SIDE, centre: 0 });
    return { values, scales: null };
  });
  return choices.map((choice) => {
    device.kernels = choice;
    const recording = new Recording(device, memory, kernels, { rows: 1, segments: 1, outputs: 0 });
    for (const weight of weights) decodeProduct(recording, out!, x!, { weight, bias: null }, { add: true });
    const plan = recording.finish();
    const counts = plan.write(device.gpu.queue, STEP);
    return (encoder) => plan.replay(encoder, counts);
  });
}

/** Milliseconds of each pass, in every round. */
async function inTurn(clock: Clock, passes: readonly Pass[]): Promise<number[][]> {
  const times = await enough(clock, passes[0]!);
  const rounds: number[][] = [];
  const end = performance.now() + MEASURE_MILLIS;
  while (rounds.length <= ROUNDS && (rounds.length < 2 || performance.now() < end)) {
    const round: number[] = [];
    for (const pass of passes) round.push(await clock.millis((encoder) => repeat(times, () => pass(encoder))) / times);
    rounds.push(round);
  }
  return rounds.slice(1); // in the first one the driver compiles
}

/** How often a pass must run to take long enough; by then its kernels are compiled and the device's clock has risen. */
async function enough(clock: Clock, pass: Pass): Promise<number> {
  for (let times = 1;; times *= 2) {
    const run = () => clock.millis((encoder) => repeat(times, () => pass(encoder)));
    await run();
    if (await run() > ENOUGH_MILLIS || times >= 2 ** 10) return times;
  }
}

function repeat(times: number, work: () => void): void {
  for (let i = 0; i < times; i++) work();
}

/** The middle one of some values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
