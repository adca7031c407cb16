/** A plan's calls as data, so that any thread can make them, and how each is cut into pieces. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Elem, ModuleExports, Ptr } from "../../../wasm/memory.ts";

export type KernelName = Exclude<keyof KernelsExports, keyof ModuleExports>;

/** What a step has of something, which its calls read when they are made. */
export const COUNTS = ["rowCount", "segmentCount", "outputCount"] as const;
export type Count = typeof COUNTS[number];

/** Scratch of which every thread has its own piece, one after the other. */
export interface Own<E extends Elem> {
  readonly own: Ptr<E>;
  readonly bytes: number;
}

/** An argument: as it is, what the step has, a thread's own scratch, or an end of the range that a piece takes. */
type ArgumentFor<P> = P extends Ptr<infer E> ? P | Own<E> : number | Count | "begin" | "end";
type ArgumentsFor<P extends readonly unknown[]> = { readonly [I in keyof P]: ArgumentFor<P[I]> };
export type Arguments<K extends KernelName> = ArgumentsFor<Parameters<KernelsExports[K]>>;
export type Argument = number | Count | "begin" | "end" | Own<Elem>;

/** The range that a call goes through, `size` or as many for each of what the step has, and what it costs. */
export interface Range {
  readonly size: number;
  readonly each?: Count;
  /** What takes as long as so many multiplications of a product, for one of the range, or as many for each of what the step has; 0 where a call must not be cut. */
  readonly work: number;
  readonly times?: Count;
  /** Pieces begin at multiples of it. */
  readonly grain: number;
}

/** A call of a kernel. */
export interface Call {
  readonly kernel: KernelName;
  readonly args: readonly Argument[];
  readonly range: Range;
  /** Whether it may be made at the same time as the call before it. */
  readonly beside: boolean;
}

/** What only the stage's own thread does. */
export type OwnWork = () => void;

export type PlannedCall = Call | OwnWork;

/** What the steps that run have, in the order of COUNTS. */
export type Counts = readonly number[];

/** Among how many threads calls are cut, and how small pieces may be, in multiplications. */
export interface Cut {
  readonly threads: number;
  readonly leastWork: number;
}

/** To hand a piece to another thread takes 0.1 to 0.2 µs. */
export const LEAST_WORK = 1 << 12;

/** So many pieces of the least size are worth another thread, which must be woken and waited for. */
const WORTH_A_THREAD = 2;

/** Pieces for each thread where there is work enough, so that one that comes late or is held up takes fewer. */
const PIECES_EACH = 2;

/** Such pieces are larger than the least by this factor: a product's rows of weights begin anew in each. */
const WORTH_MORE = 64;

const countOf = (counts: Counts, what: Count | undefined): number =>
  what === undefined ? 1 : counts[COUNTS.indexOf(what)]!;

/** How long a call's range is. */
export function lengthOf(range: Range, counts: Counts): number {
  return range.size * countOf(counts, range.each);
}

/** What a call takes, in multiplications. */
function workOf(range: Range, counts: Counts): number {
  return lengthOf(range, counts) * range.work * countOf(counts, range.times);
}

/** For how many threads a step has work: as much for each as its calls take on an average, of those that are worth two. */
export function threadsFor(ranges: readonly Range[], counts: Counts, { threads, leastWork }: Cut): number {
  const enough = WORTH_A_THREAD * leastWork;
  const works = ranges.map((range) => workOf(range, counts)).filter((work) => work >= 2 * enough);
  const sum = works.reduce((sum, work) => sum + work, 0);
  return works.length === 0 ? 1 : Math.min(threads, Math.floor(sum / works.length / enough));
}

/** Into how many pieces a call is cut. */
export function piecesOf(range: Range, counts: Counts, { threads, leastWork }: Cut): number {
  if (threads === 1) return 1;
  const [length, work] = [lengthOf(range, counts), workOf(range, counts)];
  const least = Math.min(threads, Math.floor(work / leastWork));
  const more = Math.min(PIECES_EACH, Math.floor(work / (threads * WORTH_MORE * leastWork))) * threads;
  return Math.max(1, Math.min(Math.max(least, more), Math.floor(length / range.grain)));
}
