/** How the fields of a configuration must fit each other. */
import type { ModelConfig } from "./config.ts";
import { complaint } from "./config_schema.ts";

/** Kernels read four weights at a time, along the input. */
const VECTOR = 4;

/**
 * Checks the rules between fields that are each right by themselves.
 * @throws {RangeError} naming the field as config.json calls it
 */
export function checkFit(config: ModelConfig): void {
  const { heads, kvHeads, headDim, rotaryDim, maxPositions } = config;
  const channels = heads * headDim;
  fit(Number.isInteger(headDim), "head_dim", "given where hidden_size is no multiple of num_attention_heads", headDim);
  fit(heads % kvHeads === 0, "num_attention_heads", `a multiple of num_key_value_heads (${kvHeads})`, heads);
  const even = `even, and at most head_dim (${headDim})`;
  fit(
    rotaryDim >= 2 && rotaryDim % 2 === 0 && rotaryDim <= headDim,
    "rotary_dim (or head_dim · partial_rotary_factor)",
    even,
    rotaryDim,
  );
  fit(maxPositions < 2 ** 31, "rope_scaling.factor", "small enough for 2^31 positions", maxPositions);
  if (config.architecture === "linear") {
    const { groupNorm } = config;
    fit(channels % groupNorm === 0, "group_norm_size", `a divisor of heads · head_dim (${channels})`, groupNorm);
  }
  fitVector("hidden_size", config.hidden);
  fitVector("num_attention_heads · head_dim", channels);
  fitVector("intermediate_size", config.intermediate);
  if (config.experts > 0) checkExperts(config);
}

function checkExperts(config: ModelConfig): void {
  const { experts, expertsPerToken, groups, groupsKept } = config;
  fit(experts % groups === 0, "num_experts", `a multiple of n_group (${groups})`, experts);
  // A group's score is the sum of its two best experts.
  fit(groups === 1 || experts >= 2 * groups, "n_group", `at most half of num_experts (${experts})`, groups);
  fit(groupsKept <= groups, "topk_group", `at most n_group (${groups})`, groupsKept);
  const kept = experts / groups * groupsKept;
  const limit = `at most the ${kept} experts of ${groupsKept} of ${groups} groups`;
  fit(expertsPerToken <= kept, "num_experts_per_tok", limit, expertsPerToken);
  fitVector("moe_intermediate_size", config.moeIntermediate);
  fitVector("moe_shared_expert_intermediate_size · num_shared_experts", config.sharedIntermediate);
}

function fitVector(field: string, width: number): void {
  fit(width % VECTOR === 0, field, `a multiple of ${VECTOR}, which weights are read in`, width);
}

function fit(fits: boolean, field: string, wanted: string, value: number): void {
  if (!fits) throw new RangeError(complaint(`"${field}" is ${value}, and must be ${wanted}`));
}
