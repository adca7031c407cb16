/** How many threads a stage on the CPU has. */
import type { LoadOptions } from "./options.ts";

/** By default at most: what more of them bring has not been measured, and each takes memory and time to start. */
const MOST_THREADS = 16;

/** Threads of each stage: stages on the same processors take turns, in which each has all of these. */
export const threadsOf = ({ threads }: LoadOptions): number =>
  threads ?? Math.min(MOST_THREADS, navigator.hardwareConcurrency);
