/** One text to score: the log-probability of each of its tokens after those before it. */
import type { EngineFinish, GenerateStats, ScoreRequest, ScoreRows } from "../pipeline/messages.ts";
import { checkTokens, type EngineLimits } from "./limits.ts";
import { Sequence } from "./sequence.ts";
import type { StepOutputs } from "./step_outputs.ts";

/** Most bytes of logits that one step leaves behind, unless the request says how many rows. */
const LOGITS_BYTES = 64 << 20;

export class ScoreTask {
  readonly sequence: Sequence;
  readonly #request: ScoreRequest;
  readonly #report: (rows: ScoreRows) => void;
  readonly #submitted = performance.now();
  #scored = 0;
  #next = NaN; // log-probability of the first token not scored yet

  /** @throws RangeError if the request does not fit the engine. */
  constructor(id: number, request: ScoreRequest, limits: EngineLimits, report: (rows: ScoreRows) => void) {
    checkTokens(request.tokens, limits.context, limits);
    for (const rows of request.chunks) checkChunk(rows, limits);
    const rows = Math.max(1, Math.floor(LOGITS_BYTES / (4 * limits.vocabulary)));
    const chunks = request.chunks.length > 0 ? request.chunks : [Math.min(rows, limits.maxRows)];
    this.sequence = new Sequence(id, request.tokens, { chunks, everyRow: true });
    this.#request = request;
    this.#report = report;
  }

  get stats(): GenerateStats {
    const prefillMillis = performance.now() - this.#submitted;
    return { promptTokens: this.#scored, cachedTokens: 0, generatedTokens: 0, prefillMillis, decodeMillis: 0 };
  }

  /** Scores the rows of one step, all of which are outputs. */
  async advance(outputs: StepOutputs): Promise<EngineFinish | null> {
    const { tokens } = this.#request;
    const logits = await outputs.logits();
    const first = this.#scored;
    const vocabulary = logits.length / (this.sequence.computed - first);
    const logprobs = new Float64Array(this.sequence.computed - first);
    for (let i = 0; i < logprobs.length; i++) {
      logprobs[i] = this.#next;
      const token = tokens[first + i + 1];
      if (token !== undefined) this.#next = logSoftmax(logits.subarray(i * vocabulary, (i + 1) * vocabulary), token);
    }
    this.#scored += logprobs.length;
    this.#report({ first, logprobs, logits: this.#request.logits ? logits : null });
    return this.#scored === tokens.length ? "stop" : null;
  }
}

function checkChunk(rows: number, { maxRows }: EngineLimits): void {
  if (Number.isInteger(rows) && rows >= 1 && rows <= maxRows) return;
  throw new RangeError(`Cannot score in chunks of ${rows} rows: use whole numbers from 1 to ${maxRows}`);
}

/** ln softmax(row)[token], in float64. */
function logSoftmax(row: Float32Array, token: number): number {
  let max = -Infinity;
  for (const logit of row) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - max);
  return row[token]! - max - Math.log(sum);
}
