/** What an engine can take, and the refusal of what it cannot. */
import type { PrefixCacheOptions } from "../pipeline/messages.ts";

export interface EngineLimits {
  /** Sequences at once. */
  readonly slots: number;
  /** Positions of a sequence, prompt and answer together. */
  readonly context: number;
  /** Rows of a step. */
  readonly maxRows: number;
  /** Stages of the pipeline, as many steps may be under way; 1 by default. */
  readonly stages?: number;
  /** Different devices that these are on; 1 by default. */
  readonly devices?: number;
  /** Steps before the last whose logits the stages keep, and so that may be begun behind one that has outputs; 0 by default. */
  readonly keptLogits?: number;
  /** Token ids are below it. */
  readonly vocabulary: number;
  /** Snapshots that the stages keep, those of the prefix cache behind others; none by default. */
  readonly snapshots?: number;
  /** Pages of keys and values that the stages may have; any number by default. */
  readonly pages?: number;
  readonly prefixCache?: PrefixCacheOptions;
  /** Rows of a chunk while others decode. */
  readonly rowsBeside?: number;
  /** Sequences that decode in one step at most, by turns if there are more; all by default. */
  readonly decodeRows?: number;
  /** Give each sequence the bits that it has alone. */
  readonly deterministic?: boolean;
  /** Begin a chain before the one before it has been sampled. */
  readonly chainsFollow?: boolean;
  /** Report every step. */
  readonly profile?: boolean;
}

/** @throws RangeError unless there are 1 to `most` tokens, all of them in the vocabulary. */
export function checkTokens(tokens: Uint32Array, most: number, limits: EngineLimits): void {
  if (tokens.length === 0) throw new RangeError("Cannot run a request as it has no tokens: send at least one");
  if (tokens.length > most) {
    throw new RangeError(`Cannot run a request of ${tokens.length} tokens: the context has room for ${most}`);
  }
  checkVocabulary(tokens, limits);
}

/** @throws RangeError unless all tokens are in the vocabulary. */
export function checkVocabulary(tokens: Uint32Array, { vocabulary }: EngineLimits): void {
  const stray = tokens.find((token) => token >= vocabulary);
  if (stray === undefined) return;
  throw new RangeError(`Cannot run token ${stray}: the vocabulary has ${vocabulary} tokens, counted from 0`);
}
