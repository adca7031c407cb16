/** One stage's forward pass: its layers, recorded once for each size of step and replayed. */
import { setImmediate } from "node:timers/promises";
import type { Backend, Ops, Plan, Read } from "../backend/backend.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import type { Load, Store } from "../pipeline/copies.ts";
import {
  type Candidates,
  MOST_AHEAD,
  MOST_STEPS,
  mostOutputs,
  type Released,
  type Segment,
  type Step,
} from "../pipeline/steps.ts";
import { type Activations, makeActivations } from "./activations.ts";
import { candidatesOf } from "./candidates.ts";
import type { ModelConfig } from "./config.ts";
import { WeightLoader } from "./loader.ts";
import { recordMlp } from "./moe.ts";
import { OutOfPagesError, type Placed } from "./kv_cache.ts";
import { LastLogits } from "./last_logits.ts";
import { HostStore } from "./host_store.ts";
import { loadParts, type ModelOptions, type Parts } from "./parts.ts";
import { stateBytes } from "./state_bytes.ts";
import { States } from "./states.ts";
import type { Weights } from "./weights.ts";

/** Milliseconds of a backend's warm-up at most, but for the step that it is in: a large model is as fast by its first token. */
const WARM_MILLIS = 60;

/** A step that the backend is to run. */
interface Begun {
  readonly plan: Plan;
  readonly results: Promise<ArrayBuffer[]>;
  /** Rows of which a token is drawn. */
  readonly drew: number;
  /** Whether it is less of a chain than was asked for. */
  readonly isCut: boolean;
}

/** The layers `[start, end)` of a model with their weights, states and caches, on a backend that it owns. */
export class Model implements Disposable {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #options: ModelOptions;
  readonly #parts: Parts;
  readonly #activations: Activations;
  readonly #logits: LastLogits | null; // on the last stage
  readonly #states: States;
  readonly #stored: HostStore;
  readonly #plans = new Map<string, Plan>();
  #plannedBlocks = 0;
  #loaded = false; // whether the last step was
  #begun: Promise<unknown> = Promise.resolve(); // the last step that was asked for
  #last: Begun | null = null;

  private constructor(backend: Backend, config: ModelConfig, options: ModelOptions, parts: Parts) {
    this.#backend = backend;
    this.#config = config;
    this.#options = options;
    this.#parts = parts;
    this.#activations = makeActivations(backend, config, options, parts.head !== null);
    const { head } = this.#activations;
    this.#logits = head && new LastLogits(backend, head.logits, head.keptLogits);
    this.#states = new States(options.slots, options.snapshots ?? 0);
    const states = parts.layers.flatMap(({ states }) => states ?? []);
    this.#stored = new HostStore(backend, this.#states, states, parts.cache);
  }

  /** Loads one stage. `onBytes` hears the bytes loaded so far. Throws CheckpointError if the tensors do not fit. */
  static async load(
    backend: Backend,
    config: ModelConfig,
    checkpoint: Checkpoint,
    options: ModelOptions,
    onBytes: (loaded: number) => void = () => {},
  ): Promise<Model> {
    const weights = new WeightLoader(backend, config, checkpoint, options.quantize, onBytes);
    const model = await Model.from(weights, options);
    await weights.load();
    return model;
  }

  /** Loads one stage from any source of weights. */
  static async from(weights: Weights, options: ModelOptions): Promise<Model> {
    return new Model(weights.backend, weights.config, options, await loadParts(weights, options));
  }

  /** Records the plans of all usual steps, so that their kernels are compiled. Weights may come meanwhile, between two plans. */
  async prepare(): Promise<void> {
    const { maxRows, slots } = this.#options;
    const sizes = Array.from({ length: Math.log2(bucket(maxRows)) + 1 }, (_, i) => 2 ** i);
    const batches = sizes.filter((rows) => 1 < rows && rows <= bucket(slots));
    for (const [rows, outputs] of [...sizes.map((rows) => [rows, 1]), ...batches.map((rows) => [rows, rows])]) {
      this.#plan(rows!, outputs!);
      await setImmediate();
    }
  }

  /**
   * Runs a row through the smallest and the largest plan, and whatever else lets the backend's code become fast, to leave nothing for the
   * first step to do; before any sequence.
   */
  async warm(): Promise<void> {
    const { maxRows } = this.#options;
    for (const most of [1, maxRows]) await this.#tryOut(1, most);
    const end = performance.now() + WARM_MILLIS;
    for (const rows of this.#backend.warmRows ?? []) {
      if (performance.now() < end) await this.#tryOut(Math.min(rows, maxRows));
    }
    this.release({ slots: [0], snapshots: [] });
  }

  /** Runs rows of no meaning through the plan for `most` rows. */
  async #tryOut(count: number, most: number = count): Promise<void> {
    const rows = this.#parts.embedding ? new Uint32Array(count) : new Float32Array(count * this.#config.hidden);
    const segments = [{ slot: 0, start: 0, rows: count }];
    const { pages } = await this.#parts.cache.place(segments);
    await this.#parts.rope.reach(count);
    const step = { segments, pages, outputs: Uint32Array.of(0), rows };
    await this.#backend.run(this.#plan(most, 1), step, [{ tensor: this.#activations.hidden, elements: 1 }]);
  }

  /** Milliseconds that the device worked on the last step; null if that was loaded, or unless it was opened to measure them. */
  get gpuMillis(): number | null {
    return this.#loaded ? null : this.#backend.gpuMillis;
  }

  /** Bytes of the linear states of all slots, and of snapshots. */
  get stateBytes(): number {
    return stateBytes(this.#config, this.#options).stateBytes;
  }

  /** Whether this stage gives candidates and not hidden rows. */
  get last(): boolean {
    return this.#parts.head !== null;
  }

  /**
   * Runs a step of T rows: token ids [T] on the first stage, hidden rows [T, H] on others.
   * Returns hidden rows [T, H], or on the last stage the candidates of the step's R output rows, or of those of all steps of a chain.
   */
  async forward(step: Step, rows: Uint32Array | Float32Array): Promise<Float32Array | Candidates> {
    this.#loaded = step.load !== undefined;
    if (step.load) return await this.#load(step.segments[0]!, step.load);
    const begun = this.#begun.then(() => this.#begin(step, rows));
    this.#begun = begun.catch(() => {});
    const { results, drew } = await begun;
    const [read = new ArrayBuffer(0)] = await results;
    this.#keep(step.segments);
    if (step.outputs.length > 0) this.#logits?.ran(step.id, step.outputs.length);
    if (!this.last) return new Float32Array(read);
    return candidatesOf(new Uint32Array(read), this.#activations.head!.trail.shape[1]!, drew);
  }

  /** Makes all ready for a step and asks for it to be run, behind the one before, which may be under way. */
  async #begin(step: Step, tokens: Uint32Array | Float32Array): Promise<Begun> {
    const { segments, outputs, draws = [], follows } = step;
    this.#checkChain(step);
    const { pages, rounds, steps } = await this.#place(segments, Math.max(1, draws.length));
    await this.#parts.rope.reach(Math.max(...segments.map(({ start, rows }) => start + rows + steps - 1)));
    const count = segments.reduce((sum, segment) => sum + segment.rows, 0);
    const plan = this.#plan(count, outputs.length, rounds);
    const rows = follows ? await this.#drawnBefore(plan, count) : tokens;
    const places = this.#states.place(segments);
    if (outputs.length > 0) await this.#logits?.makeWay();
    const results = this.#backend.run(
      plan,
      { segments, pages, outputs, rows, places, draws: draws.slice(0, steps) },
      this.#reads(count, steps * outputs.length),
    );
    return this.#last = {
      plan,
      results,
      drew: draws.length > 0 ? steps * outputs.length : 0,
      isCut: steps < draws.length,
    };
  }

  /** What is read back of a step: candidates of outputs, or hidden rows. */
  #reads(rows: number, outputs: number): Read[] {
    if (!this.last) return [{ tensor: this.#activations.hidden, elements: rows * this.#config.hidden }];
    const { trail } = this.#activations.head!;
    return outputs > 0 ? [{ tensor: trail, elements: outputs * trail.shape[1]! }] : [];
  }

  /** The tokens that the chain before drew last; null where the backend has them, as the plan is the same. */
  async #drawnBefore(plan: Plan, count: number): Promise<Uint32Array | null> {
    const { plan: before, results } = this.#last!;
    if (before === plan) return null;
    const trail = new Uint32Array((await results)[0]!);
    const width = this.#activations.head!.trail.shape[1]!;
    return Uint32Array.from({ length: count }, (_, row) => trail[trail.length - 1 - (count - 1 - row) * width]!);
  }

  /** Takes back pages that nobody wants any more. */
  release(released: Released): void {
    this.#parts.cache.release(released);
  }

  /** Copies what a snapshot keeps to the host's memory, from where steps load it. */
  async store(store: Store): Promise<void> {
    await this.#stored.store(store);
  }

  /** Takes a segment from the host's memory. */
  async #load(segment: Segment, load: Load): Promise<Float32Array | Candidates> {
    await this.#stored.load(segment, load);
    this.#keep([segment]);
    return this.last ? candidatesOf(new Uint32Array(), 2, 0) : new Float32Array();
  }

  /** After a step that succeeded. */
  #keep(segments: readonly Segment[]): void {
    this.#states.keep(segments);
    this.#parts.cache.keep(segments);
  }

  #checkChain({ segments, outputs, draws, follows }: Step): void {
    if (follows && (!this.#last || this.#last.isCut)) {
      throw new RangeError("Cannot follow a chain of steps that found no pages for all of them");
    }
    const isPlain = ({ rows, keep }: Segment) => rows === 1 && keep === undefined;
    if (!draws || this.#parts.embedding && this.last && outputs.length === segments.length && segments.every(isPlain)) {
      return;
    }
    throw new RangeError(
      "Cannot run a chain of steps: this takes a stage of all layers and segments of one row that is an output",
    );
  }

  /** Finds room for the steps of a chain, or where there is none for these, for the first by itself. */
  async #place(segments: readonly Segment[], steps: number): Promise<Placed & { readonly steps: number }> {
    const reach = segments.map((segment) => ({ ...segment, rows: segment.rows + steps - 1 }));
    try {
      return { ...await this.#parts.cache.place(reach), steps };
    } catch (error) {
      if (steps === 1 || !(error instanceof OutOfPagesError)) throw error;
      return { ...await this.#parts.cache.place(segments), steps: 1 };
    }
  }

  /** Whole rows [R, V] of the last step with outputs, or one before whose logits are kept. Throws RangeError if it is none of them. */
  async logits(step: number): Promise<Float32Array> {
    return await this.#logits!.read(step);
  }

  /** The plan for steps of this size, from powers of two so that few are recorded. */
  #plan(rows: number, outputs: number, rounds = 1): Plan {
    const { maxRows, slots } = this.#options;
    const { cache } = this.#parts;
    if (this.#plannedBlocks !== cache.blockCount) this.#plans.clear(); // they lack the new block; kernels stay compiled
    this.#plannedBlocks = cache.blockCount;
    const most = mostOutputs(this.#config.vocab, maxRows);
    const capacity = {
      rows: Math.min(maxRows, bucket(rows)),
      segments: Math.min(slots, bucket(rows)),
      outputs: Math.min(most, bucket(outputs)),
      pages: cache.pagesOfSequence,
      rounds: bucket(rounds),
      draws: rows <= MOST_AHEAD ? MOST_STEPS * bucket(outputs) : 0,
    };
    const key = `${capacity.rows} ${capacity.outputs} ${capacity.rounds}`;
    const plan = this.#plans.get(key) ??
      this.#backend.record(capacity, (ops) => this.#record(ops, capacity.outputs > 0));
    this.#plans.set(key, plan);
    return plan;
  }

  #record(ops: Ops, wantsHead: boolean): void {
    const { embedding, layers, head } = this.#parts;
    const activations = this.#activations;
    if (embedding === null) ops.receive(activations.hidden);
    else ops.embed(activations.hidden, embedding);
    for (const layer of layers) {
      layer.record(ops, activations);
      recordMlp(ops, layer.mlp, activations);
    }
    if (head === null || !wantsHead) return;
    const { logits, candidates, trail } = activations.head!;
    ops.head(logits, activations.hidden, head.norm, head.map);
    ops.candidates(candidates, logits);
    ops.draw(trail, candidates);
  }

  [Symbol.dispose](): void {
    this.#backend[Symbol.dispose]();
  }
}

const bucket = (count: number): number => count === 0 ? 0 : 2 ** Math.ceil(Math.log2(count));
