/** A recorded list of dispatches, and the step buffer that holds all that changes from run to run. */
import { type Capacity, MOST_PLACES, placesOf, type Plan, type StepInput } from "../backend.ts";
import { type BoundKernel, setKernel } from "./kernel.ts";

/** What the number of workgroups of one step depends on. */
export interface Counts {
  readonly rows: number;
  readonly segments: number;
  readonly outputs: number;
  /** Pages of the longest sequence. */
  readonly pages: number;
  /** Of every block of pages, whether nothing of the step lies there, or what it reads, or what it writes too. */
  readonly blocks: readonly ("none" | "read" | "written")[];
}

/** Whether two steps need the same workgroups. */
export function isEqual(a: Counts, b: Counts): boolean {
  return a.rows === b.rows && a.segments === b.segments && a.outputs === b.outputs && a.pages === b.pages &&
    a.blocks.every((use, i) => use === b.blocks[i]);
}

/** The pages that a plan's caches have. */
export interface Pages {
  /** Positions of a page. */
  readonly size: number;
  /** Of every block, its first page, and one more for the end. */
  readonly bounds: readonly number[];
}

export interface Dispatch extends BoundKernel {
  readonly workgroups: (counts: Counts) => number;
}

/** What the rows of a step are for a plan. */
export type RowInput =
  | { readonly type: "tokens"; readonly vocabulary: number }
  | { readonly type: "hidden"; readonly buffer: GPUBuffer; readonly width: number };

/** WebGPU's own bound on each dimension of a grid. */
const MAX_GRID = 65535;

/**
 * Share of the dispatches that lead. A submit takes the longer the more its commands use, 0.1 ms for all of a large model's, and as
 * long the device waits; so some are submitted first, enough to keep it busy meanwhile.
 */
const LEAD = 1 / 3;

/** Dispatches that are submitted at once, as what a second submit costs is more than it hides. */
const FEW_DISPATCHES = 64;

const MAX_F32 = 3.4028234663852886e38;

/** vec4s of the step buffer's header (shaders/lib/step.wgsl). */
const HEADER = 2;

/** vec4s of a draw (shaders/draw.wgsl). */
const DRAW = 2;

/** vec4s that the step buffer of a capacity has. */
function stepSize({ rows, segments, outputs, pages = 0, draws = 0 }: Capacity): number {
  const words = outputs + segments * pages;
  return HEADER + 2 * rows + segments + 2 + Math.ceil(words / 4) + outputs + DRAW * draws;
}

/** Bytes of the step buffer of a capacity. */
export function stepBytes(capacity: Capacity): number {
  return 16 * stepSize(capacity);
}

/** What {@linkcode WebGpuPlan} replays. */
export interface Recorded {
  readonly capacity: Capacity;
  readonly step: GPUBuffer;
  readonly dispatches: readonly Dispatch[];
  readonly input: RowInput | null;
  /** Places and positions that the recorded states, caches and tables have. */
  readonly places: number;
  readonly context: number;
  /** null if nothing recorded has a cache. */
  readonly pages: Pages | null;
}

/** A plan of one backend. */
export class WebGpuPlan implements Plan {
  readonly capacity: Capacity;
  readonly #recorded: Recorded;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #numbers: Float32Array;

  constructor(recorded: Recorded) {
    this.capacity = recorded.capacity;
    this.#recorded = recorded;
    this.#words = new Uint32Array(4 * stepSize(recorded.capacity));
    this.#numbers = new Float32Array(this.#words.buffer);
  }

  /**
   * Queues what changes: the step buffer, and hidden rows that came from elsewhere.
   * @throws {RangeError} if the step does not fit the plan
   */
  write(queue: GPUQueue, step: StepInput): Counts {
    const counts = this.#check(step);
    const { input } = this.#recorded;
    const used = this.#encode(step, counts);
    const from = step.rows === null ? 4 * (HEADER + counts.rows) : 0; // behind the tokens that the device drew
    queue.writeBuffer(this.#recorded.step, 4 * from, this.#words, from, used - from);
    if (input?.type === "hidden") queue.writeBuffer(input.buffer, 0, step.rows as Float32Array<ArrayBuffer>);
    return counts;
  }

  /** Dispatches that are to be submitted before the others. */
  get lead(): number {
    const { length } = this.#recorded.dispatches;
    return length < FEW_DISPATCHES ? 0 : Math.ceil(LEAD * length);
  }

  /** Encodes dispatches, all or those of [from, to), with the workgroups that this step needs. */
  replay(pass: GPUComputePassEncoder, counts: Counts, from = 0, to = Infinity): void {
    for (const dispatch of this.#recorded.dispatches.slice(from, to)) {
      const groups = dispatch.workgroups(counts);
      if (groups === 0) continue;
      setKernel(pass, dispatch);
      pass.dispatchWorkgroups(Math.min(groups, MAX_GRID), Math.ceil(groups / MAX_GRID));
    }
  }

  /** Lays the step out as shaders/lib/step.wgsl reads it; returns the words used. */
  #encode(step: StepInput, counts: Counts): number {
    const { segments, pages, outputs, rows, draws = [] } = step;
    const places = placesOf(step).map(({ from, to }) => from + MOST_PLACES * to);
    const words = this.#words;
    const rowsAt = HEADER + counts.rows;
    const segmentsAt = rowsAt + counts.rows;
    const outputsAt = segmentsAt + counts.segments;
    const drawsAt = outputsAt + Math.ceil(counts.outputs / 4);
    words.set([counts.rows, counts.segments, counts.outputs, 0, segmentsAt, outputsAt, drawsAt, rowsAt]);
    if (this.#recorded.input?.type === "tokens") rows?.forEach((token, t) => words[4 * (HEADER + t)] = token);
    let row = 0;
    let end = 4 * this.#encodeDraws(draws, drawsAt, counts.outputs);
    segments.forEach(({ start, rows }, s) => {
      const place = places[s]!;
      words.set([row, rows, place, start], 4 * (segmentsAt + s));
      for (let i = 0; i < rows; i++, row++) words.set([0, start + i, place, end], 4 * (rowsAt + row));
      words.set(pages?.[s] ?? [], end);
      end += pages?.[s]?.length ?? 0;
    });
    words.set(outputs, 4 * outputsAt);
    return end;
  }

  /** Lays out what shaders/draw.wgsl reads, from a vec4 on; returns the one behind it. */
  #encodeDraws(draws: NonNullable<StepInput["draws"]>, first: number, outputs: number): number {
    for (let r = 0; r < outputs; r++) this.#words.set([0, draws.length], 4 * (first + r));
    let at = first + outputs;
    for (const { temperature, topK, topP, minP, u } of draws.flat()) {
      this.#numbers.set([temperature, topP, Math.max(temperature * Math.log(minP), -MAX_F32), u], 4 * at);
      this.#words[4 * at + 4] = topK;
      at += DRAW;
    }
    return at;
  }

  #check(step: StepInput): Counts {
    const { segments, outputs, rows, draws = [] } = step;
    const { capacity, input, context } = this.#recorded;
    const counts = {
      rows: segments.reduce((sum, segment) => sum + segment.rows, 0),
      segments: segments.length,
      outputs: outputs.length,
      ...this.#checkPages(step),
    };
    for (const unit of ["rows", "segments", "outputs"] as const) {
      if (counts[unit] > capacity[unit]) refuse(`it has ${counts[unit]} ${unit}, the plan is for ${capacity[unit]}`);
    }
    const wanted = counts.rows * (input?.type === "hidden" ? input.width : 1);
    if (input !== null && rows !== null && rows.length !== wanted) {
      refuse(`it brings ${rows.length} values, its segments need ${wanted}`);
    }
    for (const { from, to } of placesOf(step)) {
      const place = Math.max(from, to);
      if (place >= this.#recorded.places) refuse(`place ${place} is none of the ${this.#recorded.places}`);
    }
    for (const { slot, start, rows } of segments) {
      if (start + rows > context) {
        refuse(`slot ${slot} would reach position ${start + rows}, the context ends at ${context}`);
      }
    }
    if (outputs.some((row) => row >= counts.rows)) {
      refuse(`row ${outputs.at(-1)} is an output, there are ${counts.rows}`);
    }
    const drawn = draws.reduce((sum, { length }) => sum + length, 0);
    if (drawn > (capacity.draws ?? 0)) refuse(`it draws ${drawn} tokens, the plan is for ${capacity.draws ?? 0}`);
    if (input?.type === "tokens" && rows !== null) {
      const unknown = rows.find((token) => token >= input.vocabulary);
      if (unknown !== undefined) refuse(`token ${unknown} is none of the ${input.vocabulary}`);
    }
    return counts;
  }

  #checkPages({ segments, pages = [] }: StepInput): Pick<Counts, "pages" | "blocks"> {
    const { pages: recorded, capacity } = this.#recorded;
    if (recorded === null) return { pages: 0, blocks: [] };
    const { size, bounds } = recorded;
    const blocks: Counts["blocks"][number][] = bounds.slice(1).map(() => "none");
    segments.forEach(({ slot, start, rows }, s) => {
      const own = pages[s] ?? [];
      if (own.length * size < start + rows) {
        refuse(`slot ${slot} would reach position ${start + rows}, its pages end at ${own.length * size}`);
      }
      own.forEach((page, n) => {
        const block = bounds.findLastIndex((first) => first <= page);
        if (blocks[block] === undefined) refuse(`page ${page} is none of the ${bounds.at(-1)}`);
        if ((n + 1) * size > start) blocks[block] = "written";
        else if (blocks[block] === "none") blocks[block] = "read";
      });
    });
    const longest = Math.max(0, ...pages.map((own) => own.length));
    if (longest > (capacity.pages ?? 0)) {
      refuse(`it has ${longest} pages of a sequence, the plan is for ${capacity.pages}`);
    }
    return { pages: longest, blocks };
  }
}

function refuse(reason: string): never {
  throw new RangeError(`Cannot run the step: ${reason}`);
}
