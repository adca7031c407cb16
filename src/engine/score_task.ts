/** One text to score: the log-probability of each of its tokens after those before it. */
import type { EngineFinish, GenerateStats, ScoreRequest, ScoreRows } from "../pipeline/requests.ts";
import { mostOutputs } from "../pipeline/steps.ts";
import { checkTokens, type EngineLimits } from "./limits.ts";
import { Sequence } from "./sequence.ts";
import type { StepOutputs } from "./step_outputs.ts";

export class ScoreTask {
  readonly sequence: Sequence;
  readonly #request: ScoreRequest;
  readonly #report: (rows: ScoreRows) => void;
  readonly #submitted = performance.now();
  #scored = 0;
  #next: Scored = { logprob: NaN, top: [] }; // of the first token not scored yet

  /** @throws RangeError if the request does not fit the engine. */
  constructor(id: number, request: ScoreRequest, limits: EngineLimits, report: (rows: ScoreRows) => void) {
    checkTokens(request.tokens, limits.context, limits);
    for (const rows of request.chunks) checkChunk(rows, limits);
    const chunks = request.chunks.length > 0 ? request.chunks : [mostOutputs(limits.vocabulary, limits.maxRows)];
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
    const vocabulary = logits.length / outputs.perStep;
    const logprobs = new Float64Array(outputs.perStep);
    const top: Scored["top"][] = [];
    for (let i = 0; i < logprobs.length; i++) {
      logprobs[i] = this.#next.logprob;
      top.push(this.#next.top);
      const token = tokens[first + i + 1];
      if (token === undefined) continue;
      const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      this.#next = scoreRow(row, token, outputs.source(i).candidates.ids.subarray(0, this.#request.top ?? 0));
    }
    this.#scored += logprobs.length;
    this.sequence.heard = this.#scored;
    const wanted = this.#request.top === undefined ? {} : { top };
    this.#report({ first, logprobs, logits: this.#request.logits ? logits : null, ...wanted });
    return this.#scored === tokens.length ? "stop" : null;
  }
}

function checkChunk(rows: number, { maxRows }: EngineLimits): void {
  if (Number.isInteger(rows) && rows >= 1 && rows <= maxRows) return;
  throw new RangeError(`Cannot score in chunks of ${rows} rows: use whole numbers from 1 to ${maxRows}`);
}

/** A token's log-probability, and those of the likeliest ones in its place. */
interface Scored {
  readonly logprob: number;
  readonly top: readonly (readonly [id: number, logprob: number])[];
}

/** Log-softmax of a row at a token and at the likeliest ones, in float64. */
function scoreRow(row: Float32Array, token: number, likeliest: Uint32Array): Scored {
  let max = -Infinity;
  for (const logit of row) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - max);
  const logprob = (id: number) => row[id]! - max - Math.log(sum);
  return { logprob: logprob(token), top: Array.from(likeliest, (id) => [id, logprob(id)] as const) };
}
