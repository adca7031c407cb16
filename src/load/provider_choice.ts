/** Who computes best, by what was measured of all: a prediction, a rule, and the reason in one sentence. */
import type { GpuProvider } from "../pipeline/messages.ts";
import type { Computer, Figures, ProviderRow } from "../stage/providers.ts";

/** The reply by which providers are compared. */
export const TYPICAL_REPLY = { promptTokens: 1024, tokens: 200 } as const;

/** What a model needs for it. */
export interface ReplyWork {
  /** Layers, each of which is some dispatches. */
  readonly layers: number;
  /** Of the prompt in one step, and of one token in the middle of the reply: bytes moved, and operations. */
  readonly prompt: Work;
  readonly token: Work;
}

interface Work {
  readonly bytes: number;
  readonly flops: number;
}

/** Milliseconds that a typical reply is predicted to take. */
export interface Prediction {
  readonly promptMillis: number;
  readonly tokenMillis: number;
  readonly replyMillis: number;
}

/** Dispatches of a decode step for each layer; the kernels for CPUs do half a layer in one. */
const DISPATCHES = { hardware: 7, software: 3 } as const;

/** Tokens for which the device goes on by itself: so many share a round trip. */
const CHAIN = 16;

/** How much less time than the standard another must be predicted to take: less is noise, and the built-in needs no library. */
const MARGIN = 0.03;

/**
 * A step takes what the bytes or the operations need, whichever is longer. Beside a prompt's host and dispatches do not count. A token has
 * them: a GPU works on one while the host records the next, so that the longer of both counts; a CPU does one after the other.
 */
export function predict(figures: Figures, { layers, prompt, token }: ReplyWork): Prediction {
  const { hardware, bandwidth, roundTripMillis, recordMicros, dispatchMicros } = figures;
  const rate = figures.matrixFlops ?? figures.flops; // kernels use matrix units where there are any
  const dispatches = layers * DISPATCHES[hardware ? "hardware" : "software"];
  const host = dispatches * recordMicros / 1e3;
  const device = dispatches * dispatchMicros / 1e3 + 1e3 * token.bytes / bandwidth;
  const tokenMillis = (hardware ? Math.max(host, device) : host + device) + roundTripMillis / CHAIN;
  const promptMillis = roundTripMillis + 1e3 * Math.max(prompt.bytes / bandwidth, prompt.flops / rate);
  return { promptMillis, tokenMillis, replyMillis: promptMillis + TYPICAL_REPLY.tokens * tokenMillis };
}

/** Who computes, and why. */
export interface ProviderChoice {
  readonly computer: Computer;
  /** One sentence. */
  readonly reason: string;
}

interface Candidate {
  readonly computer: Computer;
  readonly figures: Figures;
  readonly millis: number;
}

/**
 * The least predicted time wins, but the built-in provider loses only to 3 % less. A GPU that is more than the CPU goes before all else;
 * where there is none, software has to take 3 % less than WASM, if that `may` compute. Null if nobody can.
 */
export function chooseProvider(
  rows: readonly ProviderRow[],
  work: ReplyWork,
  may: { readonly wasm: boolean },
): ProviderChoice | null {
  const working = rows.flatMap(({ computer, figures }): Candidate[] =>
    figures === null || (computer === "wasm" && !may.wasm)
      ? []
      : [{ computer, figures, millis: predict(figures, work).replyMillis }]
  );
  const hardware = working.filter(({ figures }) => figures.hardware);
  const candidates = hardware.length > 0 ? onOneDevice(hardware) : working;
  if (candidates.length === 0) return null;
  const best = least(candidates);
  const builtIn = hardware.length > 0 || !may.wasm ? "deno" : "wasm";
  const standard = candidates.find(({ computer }) => computer === builtIn) ?? best;
  const chosen = best.millis < (1 - MARGIN) * standard.millis ? best : standard;
  return { computer: chosen.computer, reason: reasonFor(chosen, candidates.filter((each) => each !== chosen)) };
}

const least = (candidates: readonly Candidate[]): Candidate => candidates.reduce((a, b) => b.millis < a.millis ? b : a);

/** Those on the first one's GPU: providers are compared, not GPUs. */
function onOneDevice(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ figures }) => isSameGpu(figures, candidates[0]!.figures));
}

/** Whether one tells of itself what the other is called; Dawn writes names in its own way. */
export function isSameGpu(one: Figures, other: Figures): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, " ").trim();
  return plain(one.identity).includes(plain(other.device)) || plain(other.identity).includes(plain(one.device));
}

function reasonFor(chosen: Candidate, others: readonly Candidate[]): string {
  const { promptTokens, tokens } = TYPICAL_REPLY;
  const software = chosen.figures.hardware ? "" : "there is no GPU but what the CPU computes; ";
  if (others.length === 0) return `${software}nobody else than ${chosen.computer} computes here`;
  const next = least(others);
  return `${software}a reply of ${tokens} tokens to ${promptTokens} is predicted to take ${seconds(chosen)} by ` +
    `${chosen.computer} and ${seconds(next)} by ${next.computer}` +
    (next.millis < chosen.millis ? `, which is not ${100 * MARGIN} % less` : "");
}

const seconds = ({ millis }: Candidate): string => `${(millis / 1e3).toPrecision(3)} s`;

export const isGpu = (computer: Computer): computer is GpuProvider => computer !== "wasm";
