/** Checks what a request asks for, and fills in what it leaves out. */
import { checkSampling } from "../engine/sampling_params.ts";
import type { SamplingParams } from "../pipeline/requests.ts";
import type { ChatRequest, CompletionRequest, GenerationOptions } from "./messages.ts";
import { RequestError } from "./request_error.ts";

/** @throws {RequestError} naming the first option that is out of its range. No token at all may be wanted of what echoes its prompt. */
export function checkOptions(
  options: GenerationOptions & Pick<ChatRequest, "thinkBudget"> & Pick<CompletionRequest, "echo">,
): void {
  checkCount("maxTokens", options.maxTokens, options.echo ? 0 : 1);
  checkCount("thinkBudget", options.thinkBudget, 0);
  checkCount("logprobs", options.logprobs, 0);
  if (options.stop?.includes("")) throw new RequestError("Cannot stop at an empty text: leave it out", "stop");
}

function checkCount(field: "maxTokens" | "thinkBudget" | "logprobs", value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
  throw new RequestError(`Cannot use ${value} as ${field}: it must be a whole number from ${least} up`, field);
}

/**
 * Neutral values for what is left out, and a random seed.
 *
 * @throws {RequestError} naming the first parameter that is out of its range.
 */
export function fillSampling(given: Partial<SamplingParams>, vocabulary: number): SamplingParams {
  const sampling: SamplingParams = {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
    seed: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
    ...given,
  };
  try {
    checkSampling(sampling, vocabulary);
  } catch (error) {
    if (error instanceof RangeError) throw new RequestError(error.message, "sampling");
    throw error;
  }
  return sampling;
}
