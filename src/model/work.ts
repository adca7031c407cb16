/** What a step must move and compute at the least (docs/MODEL.md g): arithmetic alone, no device. */
import { elements } from "../backend/tensor.ts";
import type { KvCacheType } from "../pipeline/messages.ts";
import type { Segment } from "../pipeline/steps.ts";
import { isSoftmaxLayer, type ModelConfig } from "./config.ts";
import { cacheBytes } from "./kv_cache.ts";
import { linearStateBytes } from "./linear_attention.ts";
import { expectedTensors, type NamedShape } from "./tensor_names.ts";

/** A step, as far as its work depends on it. */
export interface StepShape {
  readonly segments: readonly Segment[];
  /** Rows whose logits are wanted. */
  readonly outputs: number;
}

/** Bytes read, or read and written, and operations. */
export interface StepWork {
  /** Each weight that any row uses, once; experts as many as are chosen on average. */
  readonly weightBytes: number;
  /** Linear states, read and written once a sequence. */
  readonly stateBytes: number;
  /** Keys and values, read once a sequence; the rows' own written. */
  readonly cacheBytes: number;
  /** Multiplications and additions. */
  readonly flops: number;
}

/** How many of `experts` are chosen by at least one of `rows` rows, if every choice were as likely. */
export function distinctExperts(experts: number, perToken: number, rows: number): number {
  return experts * (1 - (1 - perToken / experts) ** rows);
}

interface Share {
  bytes: number;
  elements: number;
}

/** Which rows use a tensor. */
type Use = "always" | "experts" | "embedding" | "head";

const ROUTED_EXPERT = /\.mlp\.experts\.\d/;

function useOf(name: string, tied: boolean): Use {
  if (name === "lm_head.weight") return "head";
  if (name === "model.word_embeddings.weight") return tied ? "head" : "embedding";
  return ROUTED_EXPERT.test(name) ? "experts" : "always";
}

/** The work of any step of one model. */
export class ModelWork {
  readonly #config: ModelConfig;
  readonly #shares: Readonly<Record<Use, Share>>;
  readonly #kvCache: KvCacheType;

  /** `bytesOf` says how many bytes a weight takes on the device. */
  constructor(config: ModelConfig, bytesOf: (tensor: NamedShape) => number, kvCache: KvCacheType = "f32") {
    const share = (): Share => ({ bytes: 0, elements: 0 });
    const shares = { always: share(), experts: share(), embedding: share(), head: share() };
    for (const tensor of expectedTensors(config)) {
      const share = shares[useOf(tensor.name, config.tied)];
      share.bytes += bytesOf(tensor);
      share.elements += elements(tensor.shape);
    }
    this.#config = config;
    this.#shares = shares;
    this.#kvCache = kvCache;
  }

  get parameters(): number {
    return Object.values(this.#shares).reduce((sum, { elements }) => sum + elements, 0);
  }

  step({ segments, outputs }: StepShape): StepWork {
    const rows = sum(segments, ({ rows }) => rows);
    // Positions in the caches after the step, and pairs of a row and a position that it attends to.
    const cached = sum(segments, ({ start, rows }) => start + rows);
    const pairs = sum(segments, ({ start, rows }) => rows * start + rows * (rows + 1) / 2);
    const [linear, softmax] = this.#layers();
    const { heads, headDim } = this.#config;
    return {
      weightBytes: this.#weightBytes(rows, outputs),
      stateBytes: 2 * linear * linearStateBytes(this.#config, segments.length),
      cacheBytes: softmax * cacheBytes(this.#config, this.#kvCache, cached + rows),
      flops: this.#weightFlops(rows, outputs) +
        5 * linear * heads * headDim ** 2 * rows + 4 * softmax * heads * headDim * pairs,
    };
  }

  #weightBytes(rows: number, outputs: number): number {
    const { experts: E, expertsPerToken: K, vocab } = this.#config;
    const { always, experts, embedding, head } = this.#shares;
    const chosen = E === 0 ? 0 : experts.bytes * distinctExperts(E, K, rows) / E;
    return always.bytes + chosen + embedding.bytes * rows / vocab + (outputs > 0 ? head.bytes : 0);
  }

  #weightFlops(rows: number, outputs: number): number {
    const { experts: E, expertsPerToken: K } = this.#config;
    const { always, experts, head } = this.#shares;
    const chosen = E === 0 ? 0 : experts.elements * K / E;
    return 2 * (rows * (always.elements + chosen) + outputs * head.elements);
  }

  #layers(): readonly [linear: number, softmax: number] {
    const { layers } = this.#config;
    const softmax = Array.from({ length: layers }, (_, i) => isSoftmaxLayer(this.#config, i)).filter(Boolean).length;
    return [layers - softmax, softmax];
  }
}

function sum(segments: readonly Segment[], count: (segment: Segment) => number): number {
  return segments.reduce((total, segment) => total + count(segment), 0);
}
