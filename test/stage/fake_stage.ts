/** A stage whose arithmetic is a hash of all that came before: a wrong slot, position or order shows in every later token. */
import { DeviceLostError, rest } from "../../src/backend/backend.ts";
import { drawIndex } from "./draw_index.ts";
import { OutOfPagesError } from "../../src/model/kv_cache.ts";
import type { Load, Store } from "../../src/pipeline/copies.ts";
import type { StageInfo, StageOptions } from "../../src/pipeline/messages.ts";
import type { Candidates, Draw, Released, Segment, Step } from "../../src/pipeline/steps.ts";
import { Pages } from "../../src/pipeline/pages.ts";
import { type OpenStageModel, type StageModel } from "../../src/stage/stage.ts";

export const VOCABULARY = 50;
const PER_ROW = 4;

/** Options that open a fake of three layers. */
export const STAGE_OPTIONS: StageOptions = {
  model: "{}",
  layers: { start: 0, end: 3 },
  backend: "wasm",
  gpu: "deno",
  decay: "serving",
  ropeScaling: null,
  quantize: "none",
  kvCache: "f32",
  slots: 1,
  context: 100,
  maxRows: 16,
};

/** What such a stage says of itself. */
export const STAGE_INFO: StageInfo = {
  layers: STAGE_OPTIONS.layers,
  backend: "wasm",
  device: "fake",
  weightBytes: 0,
  stateBytes: 0,
  cacheBytes: 0,
  vocabulary: VOCABULARY,
};

/** What a fake does besides; travels to workers as the JSON text of `StageOptions.model`. */
export interface FakeBehaviour {
  /** Milliseconds that a forward pass keeps its thread busy. */
  readonly millis?: number;
  /** What happens when layer `layer` comes to position `position` of any sequence. */
  readonly at?: { readonly layer: number; readonly position: number; readonly act: FakeAct };
  /** Every so many draws it goes on with another token than it should; never if left out. */
  readonly misdraws?: number;
  /** How many pages of so many positions the stage of this layer has; any number if left out. */
  readonly pages?: { readonly layer: number; readonly size: number; readonly count: number };
  /** How many copies of states the stage of this layer has memory for; for any number if left out. */
  readonly copies?: { readonly layer: number; readonly count: number };
  /** Layer whose stage cannot be opened. */
  readonly unopenable?: number;
  /** Layer whose stage's worker ends while it is being opened. */
  readonly exitsOpening?: number;
}

/** throw: in this step only; lose: the device; crash, exit: the worker ends, with or without an error. */
export type FakeAct = "throw" | "lose" | "crash" | "exit";

interface LayerState {
  positions: number;
  hash: number;
}

interface FakeLayer {
  readonly layer: number;
  readonly slots: LayerState[];
  readonly snapshots: LayerState[];
  /** In the host's memory. */
  readonly copies: LayerState[];
}

export class FakeStage implements StageModel, Disposable {
  readonly last: boolean;
  readonly #behaviour: FakeBehaviour;
  readonly #layers: readonly FakeLayer[];
  readonly #pages: Pages | null = null;
  readonly #pageCopies = new Map<number, number>(); // which page of its text each is
  readonly #keptLogits: number;
  #rows: readonly (readonly [step: number, logits: Float32Array])[] = []; // of the last steps
  #draws = 0;
  #drawn: Uint32Array | null = null; // by the last step of a whole chain
  #running: Promise<unknown> = Promise.resolve();
  disposed = false;

  constructor(
    { layers, slots, keptLogits = 0 }: Pick<StageOptions, "layers" | "slots" | "keptLogits">,
    last: boolean,
    behaviour: FakeBehaviour = {},
  ) {
    this.last = last;
    this.#keptLogits = keptLogits;
    this.#behaviour = behaviour;
    this.#layers = Array.from({ length: layers.end - layers.start }, (_, i) => ({
      layer: layers.start + i,
      slots: Array.from({ length: slots }, () => ({ positions: 0, hash: 0 })),
      snapshots: [],
      copies: [],
    }));
    const { pages } = behaviour;
    if (pages && layers.start <= pages.layer && pages.layer < layers.end) this.#pages = new Pages(slots, pages.size);
  }

  async forward(step: Step, input: Uint32Array | Float32Array): Promise<Float32Array | Candidates> {
    const running = this.#running.then(() => this.#run(step, input));
    this.#running = running.catch(() => {});
    return await running;
  }

  async #run(step: Step, given: Uint32Array | Float32Array): Promise<Float32Array | Candidates> {
    await rest();
    if (step.load) return this.#load(step, step.load);
    if (step.follows && !this.#drawn) throw new Error("a chain cannot follow one that was cut short");
    const input = step.follows ? this.#drawn! : given;
    this.#drawn = null;
    if (step.outputs.length > 0) this.#rows = this.#rows.slice(0, this.#keptLogits);
    const draws = (step.draws ?? []).slice(0, this.#place(step));
    let result = await this.#forward(step, input);
    const all = [result];
    const drawn: number[] = [];
    for (const [i, rules] of draws.entries()) {
      const tokens = rules.map((rule, row) => this.#draw(result as Candidates, row, rule));
      drawn.push(...tokens);
      if (i + 1 === step.draws!.length) this.#drawn = Uint32Array.from(tokens);
      if (i + 1 === draws.length) break;
      const segments = step.segments.map(({ slot, start, rows }) => ({ slot, start: start + i + 1, rows }));
      all.push(result = await this.#forward({ ...step, segments }, Uint32Array.from(tokens)));
    }
    for (const { slot, start, rows, keep } of step.segments) {
      if (keep !== undefined) this.#pages?.keep(keep, slot, (start + rows) / this.#pages.size);
    }
    return result instanceof Float32Array || draws.length === 0 ? result : joined(all as Candidates[], drawn);
  }

  async store({ snapshot, pages, state }: Store): Promise<void> {
    await rest();
    for (const [index, copy] of pages) this.#pageCopies.set(copy, index);
    for (const { layer, snapshots, copies } of state === null ? [] : this.#layers) {
      const { copies: most } = this.#behaviour;
      if (most?.layer === layer && state! >= most.count) throw new RangeError("the fake has no memory");
      copies[state!] = { ...snapshots[snapshot]! };
    }
  }

  #load(step: Step, { pages, state }: Load): Float32Array | Candidates {
    this.#place(step);
    const [{ slot, start, rows, keep }] = step.segments as [Segment];
    const first = start / rows * pages.length;
    pages.forEach((copy, i) => {
      if (this.#pageCopies.get(copy) !== first + i) throw new Error(`copy ${copy} is not of page ${first + i}`);
    });
    for (const { slots, snapshots, copies } of state === null ? [] : this.#layers) {
      if (copies[state!]?.positions !== start + rows) throw new Error(`copy ${state} is of another position`);
      Object.assign(slots[slot]!, copies[state!]);
      if (keep !== undefined) snapshots[keep] = { ...copies[state!]! };
    }
    if (keep !== undefined) this.#pages?.keep(keep, slot, (start + rows) / this.#pages.size);
    return this.last ? candidatesOf(new Float32Array()) : new Float32Array();
  }

  /** Takes pages as a model does; returns how many steps of a chain have some. */
  #place({ segments, draws = [] }: Step): number {
    if (this.#pages === null) return draws.length;
    this.#pages.begin(segments);
    for (const { slot, start } of segments) {
      if (this.#pages.held(slot) < Math.ceil(start / this.#pages.size)) throw new Error(`slot ${slot} lost pages`);
    }
    const further = segments.map((segment) => ({ ...segment, rows: Math.max(segment.rows, draws.length) }));
    const found = this.#grow(further);
    if (!found && !this.#grow(segments)) throw new OutOfPagesError(this.#pages.count, this.#pages.size, "fake");
    this.#pages.assign(found ? further : segments);
    return found ? draws.length : 1;
  }

  #grow(segments: readonly Segment[]): boolean {
    const left = this.#behaviour.pages!.count - this.#pages!.count;
    const missing = this.#pages!.missing(segments);
    if (Math.min(missing, left) > 0) this.#pages!.addBlock(Math.min(missing, left));
    return missing <= left;
  }

  release(released: Released): void {
    this.#pages?.release(released);
  }

  /** Pages in use. */
  get pagesUsed(): number {
    return this.#pages?.used ?? 0;
  }

  #draw({ ids, logits, logSumExp }: Candidates, row: number, rule: Draw): number {
    const [start, end] = [row * PER_ROW, (row + 1) * PER_ROW];
    const right = ids[start + drawIndex(logits.subarray(start, end), logSumExp[row]!, rule)]!;
    return ++this.#draws % (this.#behaviour.misdraws ?? Infinity) === 0 ? (right + 1) % VOCABULARY : right;
  }

  async #forward(step: Step, input: Uint32Array | Float32Array): Promise<Float32Array | Candidates> {
    stayBusy(this.#behaviour.millis ?? 0);
    const hidden = Float32Array.from(input);
    let row = 0;
    for (const { slot, start, rows, from, before, keep } of step.segments) {
      for (const { layer, slots, snapshots } of this.#layers) {
        const state = slots[slot]!;
        if (from !== undefined) Object.assign(state, snapshots[from]);
        if (before !== undefined) snapshots[before] = { ...state };
        if (start === 0) Object.assign(state, { positions: 0, hash: layer });
        if (state.positions !== start) throw new Error(`slot ${slot} holds ${state.positions} positions, not ${start}`);
        for (let i = 0; i < rows; i++, state.positions++) {
          await this.#act(layer, state.positions);
          state.hash = mix(state.hash, hidden[row + i]!);
          hidden[row + i] = mix(state.hash, layer);
        }
        if (keep !== undefined) snapshots[keep] = { ...state };
      }
      row += rows;
    }
    if (!this.last) return hidden;
    const rows = Float32Array.from([...step.outputs].flatMap((row) => logitsOf(hidden[row]!)));
    if (rows.length > 0) this.#rows = [[step.id, rows], ...this.#rows.filter(([id]) => id !== step.id)];
    return candidatesOf(rows);
  }

  logits(step: number): Promise<Float32Array> {
    const rows = this.#rows.find(([id]) => id === step)?.[1];
    return rows
      ? Promise.resolve(rows.slice())
      : Promise.reject(new RangeError(`the fake has no logits of step ${step}`));
  }

  async #act(layer: number, position: number): Promise<void> {
    const { at } = this.#behaviour;
    if (at?.layer !== layer || at.position !== position) return;
    if (at.act === "throw") throw new Error("the fake threw");
    if (at.act === "lose") throw new DeviceLostError("the fake lost its device");
    if (at.act === "exit") Deno.exit();
    else {setTimeout(() => {
        throw new Error("the fake crashed");
      }); // deno-fmt-ignore
    }
    await new Promise(() => {});
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

/** Opens a fake of a model with `depth` layers. */
export function openFake(depth: number): OpenStageModel {
  return (options, onProgress) => {
    const { layers } = options;
    const behaviour = JSON.parse(options.model) as FakeBehaviour;
    const has = (layer: number | undefined) => layer !== undefined && layers.start <= layer && layer < layers.end;
    if (has(behaviour.exitsOpening)) Deno.exit();
    if (has(behaviour.unopenable)) {
      return Promise.reject(new RangeError(`Cannot open layer ${behaviour.unopenable}: it is a fake`));
    }
    onProgress(layers.end - layers.start, layers.end - layers.start);
    const info = { ...STAGE_INFO, layers };
    return Promise.resolve({ model: new FakeStage(options, layers.end === depth, behaviour), info });
  };
}

/** [V] logits that follow the tokens: what any pipeline of `depth` layers must give, computed without one. */
export function expectedLogits(depth: number, tokens: readonly number[]): number[] {
  let hidden = tokens;
  for (let layer = 0; layer < depth; layer++) {
    let hash = layer;
    hidden = hidden.map((value) => mix(hash = mix(hash, value), layer));
  }
  return logitsOf(hidden.at(-1)!);
}

/** The greedy continuation of `prompt` by `count` tokens. */
export function expectedTokens(depth: number, prompt: readonly number[], count: number): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < count; i++) {
    const logits = expectedLogits(depth, tokens);
    tokens.push(logits.indexOf(Math.max(...logits)));
  }
  return tokens.slice(prompt.length);
}

function logitsOf(hidden: number): number[] {
  return Array.from({ length: VOCABULARY }, (_, token) => Math.fround((mix(hidden, token) % 1000) / 100));
}

function candidatesOf(rows: Float32Array): Candidates {
  const ids: number[] = [], logits: number[] = [], logSumExp: number[] = [];
  for (let start = 0; start < rows.length; start += VOCABULARY) {
    const row = Array.from(rows.subarray(start, start + VOCABULARY));
    const best = row.map((logit, id) => ({ id, logit })).sort((a, b) => b.logit - a.logit || a.id - b.id).slice(
      0,
      PER_ROW,
    );
    ids.push(...best.map(({ id }) => id));
    logits.push(...best.map(({ logit }) => logit));
    logSumExp.push(Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)));
  }
  return {
    perRow: PER_ROW,
    ids: Uint32Array.from(ids),
    logits: Float32Array.from(logits),
    logSumExp: Float32Array.from(logSumExp),
  };
}

function joined(all: readonly Candidates[], drawn: readonly number[]): Candidates {
  return {
    perRow: PER_ROW,
    ids: Uint32Array.from(all.flatMap(({ ids }) => [...ids])),
    logits: Float32Array.from(all.flatMap(({ logits }) => [...logits])),
    logSumExp: Float32Array.from(all.flatMap(({ logSumExp }) => [...logSumExp])),
    drawn: Uint32Array.from(drawn),
  };
}

/** A hash of two integers in 24 bits, so that an f32 holds it exactly. */
function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f);
  return ((hash ^ (hash >>> 13)) >>> 0) & 0xffffff;
}

function stayBusy(millis: number): void {
  const end = performance.now() + millis;
  while (performance.now() < end);
}
