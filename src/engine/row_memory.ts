/** A row of logits, or its candidates, in the linear memory of sampler.wasm: adjusted, weighed and drawn from. */
import { Memory, type Ptr } from "../../wasm/memory.ts";
import { type SamplerExports, url } from "../../wasm/sampler.ts";
import type { LogitTerms, Term } from "./logit_terms.ts";

/** Adjusted logits and their weights exp((logit - max) / temperature), [≥ n] each; valid until the next `load`. */
export interface WeighedLogits {
  readonly max: number;
  readonly logits: Float32Array;
  readonly weights: Float32Array;
}

/** What is kept of a row, and where in it the draw falls. */
export interface DrawRule {
  /** Likeliest tokens kept, 1..V. */
  readonly topK: number;
  /** Share of their mass that the smallest set of likeliest tokens must reach; 1 keeps all. */
  readonly topP: number;
  /** Least adjusted logit kept. */
  readonly floor: number;
  /** In (0, 1]. */
  readonly u: number;
}

/** The buffers' contents, [V] each. */
interface Views {
  readonly logits: Float32Array;
  readonly weights: Float32Array;
  readonly list: Uint32Array;
  readonly counts: Int32Array;
  readonly biases: Float32Array;
}

/** Buffers for one row of V logits; everything between `load` and the last use of its result is synchronous. */
export class RowMemory {
  readonly vocabulary: number;
  readonly #memory: Memory<SamplerExports>;
  readonly #logits: Ptr<"f32">;
  readonly #weights: Ptr<"f32">;
  readonly #list: Ptr<"u32">;
  readonly #counts: Ptr<"i32">;
  readonly #biases: Ptr<"f32">;
  readonly #views: Views;

  private constructor(memory: Memory<SamplerExports>, vocabulary: number) {
    this.#memory = memory;
    this.vocabulary = vocabulary;
    this.#logits = memory.alloc("f32", vocabulary);
    this.#weights = memory.alloc("f32", vocabulary);
    this.#list = memory.alloc("u32", vocabulary);
    this.#counts = memory.alloc("i32", vocabulary);
    this.#biases = memory.alloc("f32", vocabulary);
    this.#views = { // they stay valid, for nothing more is allocated
      logits: memory.view("f32", this.#logits, vocabulary),
      weights: memory.view("f32", this.#weights, vocabulary),
      list: memory.view("u32", this.#list, vocabulary),
      counts: memory.view("i32", this.#counts, vocabulary),
      biases: memory.view("f32", this.#biases, vocabulary),
    };
  }

  static async create(vocabulary: number): Promise<RowMemory> {
    return new RowMemory(await Memory.load<SamplerExports>(url), vocabulary);
  }

  /**
   * Copies logits [n], n ≤ V, adjusts those that `terms` names by index, drops those whose bit in `mask`, [⌈n / 32⌉], is not set, and
   * weighs them.
   * Throws RangeError if a logit is NaN or +infinity, or if all are -infinity.
   */
  load(
    logits: Float32Array,
    terms: Iterable<readonly [number, Term]>,
    penalties: LogitTerms,
    temperature: number,
    mask: Uint32Array | null = null,
  ): WeighedLogits {
    const n = logits.length;
    const { kernels } = this.#memory;
    this.#views.logits.set(logits);
    this.#adjust(terms, penalties);
    if (mask) this.#drop(mask, n);
    const max = kernels.largest(this.#logits, n);
    if (!Number.isFinite(max)) {
      const what = max === -Infinity ? "every logit is -Infinity" : `the largest logit is ${max}`;
      throw new RangeError(`Cannot sample from this row as ${what}: the weights or the device are faulty`);
    }
    kernels.weigh(this.#logits, max, temperature, this.#weights, n);
    return { max, logits: this.#views.logits, weights: this.#views.weights };
  }

  #drop(mask: Uint32Array, n: number): void {
    const { logits } = this.#views;
    for (let i = 0; i < n; i += 32) {
      const word = mask[i >>> 5]!;
      if (word === 0) logits.fill(-Infinity, i, Math.min(i + 32, n));
      else if (word !== 0xffffffff) {
        for (let k = i; k < Math.min(i + 32, n); k++) if ((word >>> (k & 31) & 1) === 0) logits[k] = -Infinity;
      }
    }
  }

  #adjust(terms: Iterable<readonly [number, Term]>, { repetition, presence, frequency }: LogitTerms): void {
    const { list, counts, biases } = this.#views;
    let n = 0;
    for (const [index, { count, bias }] of terms) {
      list[n] = index;
      counts[n] = count;
      biases[n] = bias;
      n++;
    }
    if (n === 0) return;
    this.#memory.kernels.adjust(
      this.#logits,
      this.#list,
      this.#counts,
      this.#biases,
      n,
      repetition,
      presence,
      frequency,
    );
  }

  /** Draws a token id from the row loaded last, which was a whole one. */
  draw({ topK, topP, floor, u }: DrawRule): number {
    return this.#memory.kernels.draw(
      this.#logits,
      this.#weights,
      this.vocabulary,
      topK,
      topP,
      floor,
      u,
      this.#list,
    );
  }

  /** The random number in (0, 1] of a seed and a position. */
  uniform(seed: number, position: number): number {
    return this.#memory.kernels.uniform(seed, position);
  }
}
