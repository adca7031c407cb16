/** Measures a provider in a process by itself: a driver that fails or hangs takes nobody with it, and all that was opened is gone with it. */
import { fileURLToPath } from "node:url";
import type { Computer, Figures } from "./probe.ts";

/** Far more than a probe takes, on software as well. */
const PATIENCE_MILLIS = 60_000;

const ENTRY = new URL("../../workers/probe.ts", import.meta.url);

export interface ApartOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it is ended. */
  readonly patience?: number;
  /** Another program than the probe is for tests. */
  readonly entry?: URL;
}

/**
 * Measures as {@linkcode probe} does.
 * @throws with one sentence if it cannot be measured, and the signal's reason
 */
export async function probeApart(
  computer: Computer,
  threads: number,
  { signal: stop, patience = PATIENCE_MILLIS, entry = ENTRY }: ApartOptions = {},
): Promise<Figures> {
  const path = entry.protocol === "file:" ? fileURLToPath(entry) : entry.href;
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path, computer, String(threads)],
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    detached: true, // Ctrl-C is for us alone, and must not look like a failure of the driver
    signal: AbortSignal.any([AbortSignal.timeout(patience), ...(stop ? [stop] : [])]),
  }).output();
  stop?.throwIfAborted();
  const figures = code === 0 ? readFigures(lastLine(stdout)) : null;
  if (figures !== null) return figures;
  if (signal === "SIGTERM") throw new Error(`Cannot measure ${computer}: it gave no answer in ${patience / 1000} s`);
  throw new Error(lastLine(stderr) || `Cannot measure ${computer}: its process ended with ${signal ?? code}`);
}

function lastLine(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trim().split("\n").at(-1)!;
}

function readFigures(line: string): Figures | null {
  try {
    const figures: unknown = JSON.parse(line);
    return isFigures(figures) ? figures : null;
  } catch {
    return null;
  }
}

/** Whether a value from elsewhere is what {@linkcode Figures} says. */
export function isFigures(value: unknown): value is Figures {
  const { device, identity, hardware, features, matrixFlops, ...numbers } = (value ?? {}) as Partial<Figures>;
  const { roundTripMillis, recordMicros, dispatchMicros, bandwidth, flops } = numbers;
  return typeof device === "string" && typeof identity === "string" && typeof hardware === "boolean" &&
    Array.isArray(features) && features.every((each) => typeof each === "string") &&
    [roundTripMillis, recordMicros, dispatchMicros].every((cost) => Number.isFinite(cost) && cost! >= 0) &&
    [bandwidth, flops, matrixFlops ?? 1].every((rate) => Number.isFinite(rate) && rate! > 0);
}
