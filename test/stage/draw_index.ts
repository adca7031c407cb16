/** Draws a token from candidates, in float64. */
import type { Draw } from "../../src/pipeline/steps.ts";

/** The place among a row's candidates, by falling logit [K], on which a draw falls ({@linkcode Ops.draw}); `logSumExp` is of the whole row. */
export function drawIndex(logits: Float32Array, logSumExp: number, { temperature, topK, topP, minP, u }: Draw): number {
  const K = logits.length;
  const [best, least] = [logits[0]!, logits[K - 1]!];
  const masses = new Float64Array(K);
  let mass = 0;
  logits.forEach((logit, i) => masses[i] = mass += Math.exp((logit - best) / temperature));
  const reach = (target: number) => masses.filter((mass) => mass < target).length;

  let kept = masses[Math.min(topK, K) - 1]!;
  if (topK > K) {
    const others = logits.reduce((sum, logit) => sum - Math.exp(logit - least), Math.exp(logSumExp - least));
    kept += Math.exp((least - best) / temperature) * Math.min(Math.max(others, 0), topK - K);
  }
  if (topP < 1) kept = masses[reach(topP * kept)] ?? topP * kept;
  const floor = best + temperature * Math.log(minP);
  const likely = logits.filter((logit) => logit >= floor).length;
  if (likely < K) kept = Math.min(kept, masses[likely - 1]!);
  return Math.min(reach(u * kept), Math.min(topK, K) - 1);
}
