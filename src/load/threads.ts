/** How many threads a stage on the CPU has. */
import { modelWork } from "../stage/work.ts";
import { EMBEDDED_MODEL, type EngineSettings, type LoadOptions } from "./options.ts";

/** By default at most: what more of them bring has not been measured, and each takes memory and time to start. */
const MOST_THREADS = 16;

/** Weights that a row reads, for each thread: less is read in less time than a thread takes to begin, and with them in its own cache. */
const BYTES_EACH = 1.5 * 2 ** 20;

/** Threads by default where no model is meant. */
export const mostThreads = ({ threads }: LoadOptions): number =>
  threads ?? Math.min(MOST_THREADS, navigator.hardwareConcurrency);

/** Threads of each stage: stages on the same processors take turns, in which each has all of these. */
export async function threadsOf(settings: EngineSettings): Promise<number> {
  const { threads, model = EMBEDDED_MODEL, ropeScaling = null, quantize = "none", kvCache = "f32" } = settings;
  if (threads !== undefined) return threads;
  // By the configuration: a stage of a pool may have no other layers' weights.
  const work = await modelWork({ model, ropeScaling, quantize, kvCache, randomWeights: true });
  const { weightBytes } = work.step({ segments: [{ slot: 0, start: 0, rows: 1 }], outputs: 1 });
  return threadsFor(weightBytes, mostThreads(settings));
}

/** Of so many threads those that are worth it, if a row reads so many bytes of weights. */
export const threadsFor = (rowBytes: number, most: number): number =>
  Math.max(1, Math.min(most, Math.floor(rowBytes / BYTES_EACH)));
