/** The tensors that a step writes and reads again: made once, for the most rows that a step may have. */
import type { Backend, CandidateTensors, Routing } from "../backend/backend.ts";
import { byteLength, type DataType, type Tensor } from "../backend/tensor.ts";
import { MOST_AHEAD, MOST_STEPS, mostOutputs } from "../pipeline/steps.ts";
import type { ModelConfig } from "./config.ts";

/** Candidates of each output row: enough for nearly every draw, little to read back. */
const CANDIDATES = 64;

/** T is the most rows of a step, R the most output rows. Head tensors are null on all but the last stage. */
export interface Activations {
  /** [T, H], the residual stream */
  readonly hidden: Tensor;
  /** [T, 3 · heads · D], of linear layers */
  readonly linearQkv: Tensor;
  /** [T, (heads + 2 kvHeads) · D], of softmax layers */
  readonly softmaxQkv: Tensor;
  /** [T, heads · D], the gate of linear layers */
  readonly gate: Tensor;
  /** [T, heads · D], what attention gives */
  readonly mixed: Tensor;
  /** [T, intermediate], of dense layers */
  readonly dense: Tensor;
  /** [T, shared width] */
  readonly shared: Tensor;
  /** ids and weights [T, K] */
  readonly routing: Routing;
  /** [T, K, I] */
  readonly experts: Tensor;
  readonly head: {
    readonly logits: Tensor;
    /** [R, V] each, of steps before the last */
    readonly keptLogits: readonly Tensor[];
    readonly candidates: CandidateTensors;
    /** u32 [steps · R, 2 K + 2], what is read back */
    readonly trail: Tensor;
  } | null;
}

/** Makes them on `backend`, with a head on the last stage. */
export function makeActivations(
  backend: Pick<Backend, "tensor">,
  config: ModelConfig,
  { maxRows: rows, keptLogits = 0 }: { readonly maxRows: number; readonly keptLogits?: number },
  last: boolean,
): Activations {
  const { hidden, heads, kvHeads, headDim, expertsPerToken: K } = config;
  const f32 = (label: string, ...shape: number[]) => backend.tensor(label, "f32", [rows, ...shape]);
  const width = heads * headDim;
  return {
    hidden: f32("hidden", hidden),
    linearQkv: f32("linear qkv", 3 * width),
    softmaxQkv: f32("softmax qkv", width + 2 * kvHeads * headDim),
    gate: f32("gate", width),
    mixed: f32("mixed", width),
    dense: f32("dense", config.intermediate),
    shared: f32("shared", Math.max(1, config.sharedIntermediate)),
    routing: { ids: backend.tensor("expert ids", "u32", [rows, K]), weights: f32("expert weights", K) },
    experts: f32("experts", K, Math.max(1, config.moeIntermediate)),
    head: last ? makeHead(backend, config, mostOutputs(config.vocab, rows), keptLogits) : null,
  };
}

/** Bytes of all of them. */
export function activationBytes(
  config: ModelConfig,
  options: Parameters<typeof makeActivations>[2],
  last: boolean,
): number {
  let bytes = 0;
  const tensor = (label: string, dtype: DataType, shape: readonly number[]): Tensor => {
    const tensor = { label, dtype, shape };
    bytes += byteLength(tensor);
    return tensor;
  };
  makeActivations({ tensor }, config, options, last);
  return bytes;
}

function makeHead(
  backend: Pick<Backend, "tensor">,
  { vocab }: ModelConfig,
  outputs: number,
  keptLogits: number,
): Activations["head"] {
  const perRow = Math.min(CANDIDATES, vocab);
  const steps = Math.min(outputs, MOST_AHEAD) * MOST_STEPS;
  const logits = (label: string) => backend.tensor(label, "f32", [outputs, vocab]);
  return {
    logits: logits("logits"),
    keptLogits: Array.from({ length: keptLogits }, () => logits("kept logits")),
    candidates: {
      ids: backend.tensor("candidate ids", "u32", [outputs, perRow]),
      logits: backend.tensor("candidate logits", "f32", [outputs, perRow]),
      logSumExp: backend.tensor("log-sum-exp", "f32", [outputs]),
    },
    trail: backend.tensor("trail", "u32", [Math.max(outputs, steps), 2 * perRow + 2]),
  };
}
