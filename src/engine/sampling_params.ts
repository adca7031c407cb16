/** The ranges of sampling parameters. */
import type { SamplingParams } from "../pipeline/requests.ts";

/**
 * Throws RangeError, naming the parameter and its value, unless the parameters are in range: temperature ≥ 0,
 * topK an integer ≥ 0, 0 < topP ≤ 1, 0 ≤ minP ≤ 1, repetitionPenalty > 0, presence and frequency penalty -2 to 2,
 * biases -100 to 100 of ids below `vocabulary`, the seed an integer below 2^53 in magnitude.
 */
export function checkSampling(params: SamplingParams, vocabulary: number): void {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty } = params;
  // Computed in f32: what overflows there is infinite.
  check("temperature", temperature, temperature >= 0 && Math.fround(temperature) < Infinity, "a number from 0 up");
  check("topK", topK, Number.isSafeInteger(topK) && topK >= 0, "an integer from 0 up, 0 keeping all tokens");
  check("topP", topP, topP > 0 && topP <= 1, "above 0 and at most 1");
  check("minP", minP, minP >= 0 && minP <= 1, "from 0 to 1");
  const penalty = Math.fround(repetitionPenalty);
  check("repetitionPenalty", repetitionPenalty, penalty > 0 && penalty < Infinity, "a number above 0");
  check("presencePenalty", presencePenalty, Math.abs(presencePenalty) <= 2, "from -2 to 2");
  check("frequencyPenalty", frequencyPenalty, Math.abs(frequencyPenalty) <= 2, "from -2 to 2");
  check("seed", params.seed, Number.isSafeInteger(params.seed), "an integer below 2^53 in magnitude");
  for (const [id, bias] of params.logitBias) {
    const known = Number.isInteger(id) && id >= 0 && id < vocabulary;
    check("logitBias token", id, known, `an id below ${vocabulary}, the size of the vocabulary`);
    check(`logitBias of token ${id}`, bias, Math.abs(bias) <= 100, "from -100 to 100");
  }
}

function check(name: string, value: number, valid: boolean, range: string): void {
  if (!valid) throw new RangeError(`Cannot sample with ${name} ${value}: it must be ${range}`);
}
