/** A model cut into stages in one thread: what the pipeline does, without its messages. */
import type { Backend } from "../../src/backend/backend.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { Model } from "../../src/model/model.ts";
import type { DecayConvention, KvCacheType, Quantize } from "../../src/pipeline/messages.ts";
import type { Candidates, LayerRange, Step } from "../../src/pipeline/steps.ts";

export interface StagesOptions {
  readonly layers?: readonly LayerRange[];
  readonly decay?: DecayConvention;
  readonly quantize?: Quantize;
  readonly kvCache?: KvCacheType;
  readonly slots?: number;
  readonly context?: number;
  readonly maxRows?: number;
  readonly snapshots?: number;
  readonly pages?: number;
}

/** Equal cuts of `layers` layers. */
export function cut(layers: number, stages: number): LayerRange[] {
  const at = (i: number) => Math.round(i * layers / stages);
  return Array.from({ length: stages }, (_, i) => ({ start: at(i), end: at(i + 1) }));
}

/** The stages of one checkpoint, each on a backend of its own. */
export class Stages implements Disposable {
  #id = 0;

  private constructor(readonly models: readonly Model[], readonly layerCount: number) {}

  static async open(
    folder: string,
    backend: () => Promise<Backend>,
    { layers, decay = "serving", quantize = "none", kvCache = "f32", slots = 1, context = 256, ...rest }:
      StagesOptions = {},
  ): Promise<Stages> {
    const { maxRows = 256, snapshots = 0, pages = slots * Math.ceil(context / 256) } = rest;
    const config = await loadConfig(folder);
    using checkpoint = await openCheckpoint(folder);
    const models: Model[] = [];
    for (const range of layers ?? [{ start: 0, end: config.layers }]) {
      const keptLogits = (layers?.length ?? 1) - 1;
      const sizes = { slots, context, maxRows, keptLogits, snapshots, pages };
      const options = { layers: range, decay, quantize, kvCache, ...sizes };
      models.push(await Model.load(await backend(), config, checkpoint, options));
    }
    return new Stages(models, config.layers);
  }

  async forward(step: Omit<Step, "id">, tokens: Uint32Array): Promise<Candidates> {
    let rows: Uint32Array | Float32Array | Candidates = tokens;
    const numbered = { id: this.#id++, ...step };
    for (const model of this.models) rows = await model.forward(numbered, rows as Float32Array);
    return rows as unknown as Candidates;
  }

  /** [R, V] of the step before. */
  lastLogits(): Promise<Float32Array> {
    return this.models.at(-1)!.logits(this.#id - 1);
  }

  /** Logits [T, V] of all positions of one sequence, read in pieces of the given sizes, used in turn. */
  async logits(tokens: Uint32Array, pieces: readonly number[], slot = 0): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (let start = 0, i = 0; start < tokens.length; i++) {
      const rows = Math.min(pieces[i % pieces.length]!, tokens.length - start);
      const outputs = Uint32Array.from({ length: rows }, (_, row) => row);
      await this.forward({ segments: [{ slot, start, rows }], outputs }, tokens.subarray(start, start + rows));
      parts.push(await this.lastLogits());
      start += rows;
    }
    return Float32Array.from(parts.flatMap((part) => [...part]));
  }

  [Symbol.dispose](): void {
    for (const model of this.models) model[Symbol.dispose]();
  }
}

/** Largest |difference| in units of the largest |expected|. */
export function distance(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values instead of ${expected.length}`);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => {
    const difference = Math.abs(value - actual[i]!);
    return difference <= most ? most : difference;
  }, 0) / largest;
}
