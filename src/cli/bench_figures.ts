/** From steps to figures: medians, and how far they are from the least that a device could need. */
import type { Ceilings, ModelWork, StepReport } from "../mod.ts";
import { bytes } from "./progress.ts";

/** A prompt or a decode step: what it took, what it moved and computed, and the time that this needs at least. */
export interface Figure {
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly millis: number;
  /** Of the device's work, or of all devices' together; null where it has no clock. */
  readonly gpuMillis: number | null;
  /** What the host adds to the device's work: `millis` over `gpuMillis`. Of several devices that all work all the time it would be one over their number. */
  readonly wallOverGpu: number | null;
  /** All steps at the device's ceilings: what takes longer, the bytes or the operations. Of several devices, all work as long as there are steps. */
  readonly floorMillis: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly cacheBytes: number;
  readonly flops: number;
}

/** One combination's figures. */
export interface Result {
  readonly promptTokens: number;
  readonly batch: number;
  readonly genTokens: number;
  readonly prefill: Figure;
  readonly decode: Figure;
}

/** Medians over groups of steps: the steps of a prompt each, or those that give a token for each sequence; on so many devices. */
export function figureOf(
  groups: readonly (readonly StepReport[])[],
  work: Pick<ModelWork, "step">,
  ceilings: Ceilings,
  devices = 1,
): Figure {
  const all = groups.map((steps) => {
    const sum = total(steps, work, ceilings);
    return { ...sum, floorMillis: sum.floorMillis / Math.min(devices, steps.length) };
  });
  const middle = (value: (figure: Totals) => number) => median(all.map(value));
  const [tokens, millis] = [middle(({ tokens }) => tokens), middle(({ millis }) => millis)];
  const gpuMillis = all.some(({ gpuMillis }) => gpuMillis === null) ? null : middle(({ gpuMillis }) => gpuMillis!);
  return {
    tokens,
    tokensPerSecond: 1e3 * tokens / millis,
    millis,
    gpuMillis,
    wallOverGpu: gpuMillis === null ? null : millis / gpuMillis,
    floorMillis: middle(({ floorMillis }) => floorMillis),
    weightBytes: middle(({ weightBytes }) => weightBytes),
    stateBytes: middle(({ stateBytes }) => stateBytes),
    cacheBytes: middle(({ cacheBytes }) => cacheBytes),
    flops: middle(({ flops }) => flops),
  };
}

type Totals = Omit<Figure, "tokensPerSecond" | "wallOverGpu">;

function total(steps: readonly StepReport[], work: Pick<ModelWork, "step">, { bandwidth, flops }: Ceilings): Totals {
  const parts = steps.map(({ segments, outputs, millis, gpuMillis }) => {
    const least = work.step({ segments, outputs });
    const moved = least.weightBytes + least.stateBytes + least.cacheBytes;
    const tokens = segments.reduce((sum, { rows }) => sum + rows, 0);
    const floorMillis = 1e3 * Math.max(moved / bandwidth, least.flops / flops);
    return { ...least, tokens, millis, gpuMillis, floorMillis };
  });
  return parts.reduce((a, b) => ({
    tokens: a.tokens + b.tokens,
    millis: a.millis + b.millis,
    gpuMillis: a.gpuMillis === null || b.gpuMillis === null ? null : a.gpuMillis + b.gpuMillis,
    floorMillis: a.floorMillis + b.floorMillis,
    weightBytes: a.weightBytes + b.weightBytes,
    stateBytes: a.stateBytes + b.stateBytes,
    cacheBytes: a.cacheBytes + b.cacheBytes,
    flops: a.flops + b.flops,
  }));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

const HEADER = [
  "",
  "prompt",
  "batch",
  "tok/s",
  "each",
  "ms",
  "GPU ms",
  "wall/GPU",
  "floor ms",
  "of floor",
  "moved",
  "FLOP",
];

/** Two lines for each combination; `ms` are of a whole prompt, or of a decode step. */
export function toTable(results: readonly Result[]): string {
  const rows = results.flatMap((result) => [
    line("prefill", result, result.prefill, 1),
    line("decode", result, result.decode, result.batch),
  ]);
  const widths = HEADER.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [HEADER, ...rows].map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ") + "\n"
  ).join("");
}

function line(phase: string, { promptTokens, batch }: Result, figure: Figure, sequences: number): string[] {
  const { tokensPerSecond, millis, gpuMillis, wallOverGpu, floorMillis, flops } = figure;
  const known = (value: number | null) => value === null ? "-" : digits(value);
  const moved = figure.weightBytes + figure.stateBytes + figure.cacheBytes;
  return [
    ...[phase, String(promptTokens), String(batch)],
    ...[digits(tokensPerSecond), digits(tokensPerSecond / sequences), digits(millis)],
    ...[known(gpuMillis), known(wallOverGpu), digits(floorMillis)],
    ...[`${digits(100 * floorMillis / millis)} %`, bytes(moved), operations(flops)],
  ];
}

/** Three digits, and no more than the figure deserves. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** 2560000000 as `2.56 G`. */
export function operations(count: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(count) / 3)));
  return `${digits(count / 1000 ** power)} ${units[power]}`;
}
