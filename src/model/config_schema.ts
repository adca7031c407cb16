/** The fields of a config.json of this family: names, types, limits and defaults, before any meets another (spec a.1). */
import { z } from "zod";

export const CONFIG_FILE = "config.json";

/** Bounds sizes so that every product of two is exact. The largest relative is 8,192 wide. */
const MAX_SIZE = 2 ** 24;
/** These two bound how many tensors a hostile file makes us look for. The largest relative has 80 layers, 256 experts. */
const MAX_LAYERS = 512;
const MAX_EXPERTS = 2048;
/** Kernels count positions in 32 bits. */
const MAX_POSITIONS = 2 ** 31 - 1;
/** Bounds numbers that end up in float32 arithmetic. */
const MAX_NUMBER = 1e12;

// Every message below is the second half of a sentence: '"field" must be …'.

function integer(low: number, high: number) {
  const wanted = `a whole number from ${low} to ${high}`;
  return z.int(wanted).min(low, wanted).max(high, wanted);
}

function above(low: number) {
  const wanted = `a number above ${low} and at most ${MAX_NUMBER}`;
  return z.number(wanted).gt(low, wanted).max(MAX_NUMBER, wanted);
}

/** A field that may be left out or null. */
function optional<T, D>(schema: z.ZodType<T>, fallback: D) {
  return schema.nullish().transform((value) => value ?? fallback);
}

function flag(fallback: boolean) {
  return optional(z.boolean("true or false"), fallback);
}

/** A feature of other models, of which one kind only is computed here. */
function only<T extends string | boolean>(kind: T) {
  return optional(z.literal(kind, `${JSON.stringify(kind)}, the only kind that is supported`), kind);
}

const size = integer(1, MAX_SIZE);
const count = integer(0, MAX_SIZE);
const positive = above(0);

const tokenIds = optional(z.union([count, z.array(count)], "a token id or a list of token ids"), [])
  .transform((ids) => [ids].flat());

const ropeScaling = z.object({
  rope_type: optional(z.string("a name"), null),
  type: optional(z.string("a name"), null),
  factor: optional(positive, null),
  original_max_position_embeddings: optional(integer(1, MAX_POSITIONS), null),
  beta_fast: optional(positive, null),
  beta_slow: optional(positive, null),
  attention_factor: optional(positive, null),
  attn_factor: optional(positive, 1),
  mscale: optional(positive, null),
  mscale_all_dim: optional(positive, null),
}, "an object or null");

/** Integers of compressed-tensors; its floats are known by their tensors' type. */
const packedWeights = z.object({
  type: optional(z.string("a name"), "float"),
  num_bits: optional(z.number("a number"), null),
  symmetric: optional(z.boolean("true or false"), true),
}, "an object or null").refine(
  ({ type, num_bits, symmetric }) => type !== "int" || (num_bits === 4 && symmetric),
  "symmetric and of 4 bits where they are integers",
);

const quantization = z.object({
  quant_method: optional(
    z.enum(
      ["fp8", "compressed-tensors", "ringlet"],
      'of a kind that can be read, "fp8", "compressed-tensors" or "ringlet"',
    ),
    null, // mlx's
  ),
  weight_block_size: optional(z.tuple([size, size], "a pair of sizes"), null),
  group_size: optional(size, null),
  mode: only("affine"),
  config_groups: optional(
    z.record(z.string(), z.object({ weights: optional(packedWeights, null) }, "an object"), "an object"),
    {},
  ),
}, "an object or null");

/** Read first: the fields of another architecture are not worth complaining about. */
export const architectureSchema = z.object({
  architectures: z.array(z.string("a name"), "a list of names"),
}, "a JSON object");

/** What is read of config.json; other fields are of no concern. */
export const configSchema = z.object({
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: integer(1, MAX_LAYERS),
  num_attention_heads: size,
  num_key_value_heads: optional(size, null),
  head_dim: optional(size, null),
  intermediate_size: size,
  max_position_embeddings: integer(1, MAX_POSITIONS),
  layer_group_size: optional(size, null),
  group_norm_size: optional(size, 1),
  num_experts: optional(integer(0, MAX_EXPERTS), 0),
  num_experts_per_tok: optional(size, 1),
  num_shared_experts: optional(count, 0),
  moe_intermediate_size: optional(size, null),
  moe_shared_expert_intermediate_size: optional(size, null),
  moe_router_enable_shared_expert: flag(true),
  moe_router_enable_routed_scaling: flag(true),
  moe_router_enable_expert_bias: flag(true),
  first_k_dense_replace: optional(count, 0),
  n_group: optional(size, 1),
  topk_group: optional(size, 1),
  score_function: optional(z.enum(["sigmoid", "softmax"], '"sigmoid" or "softmax"'), "sigmoid" as const),
  norm_topk_prob: flag(true),
  routed_scaling_factor: optional(positive, 1),
  rms_norm_eps: optional(positive, 1e-6),
  rope_theta: above(1), // siblings differ, so that a default would be a guess
  rotary_dim: optional(size, null),
  partial_rotary_factor: optional(positive, 1),
  rope_scaling: optional(ropeScaling, null),
  linear_rope: flag(true),
  use_qk_norm: z.boolean("true or false"), // references default to either
  use_linear_silu: optional(z.boolean("true or false"), null),
  linear_silu: flag(false),
  tie_word_embeddings: flag(false),
  use_bias: flag(false),
  use_qkv_bias: flag(false),
  eos_token_id: tokenIds,
  quantization_config: optional(quantization, null),
  hidden_act: only("silu"),
  use_rmsnorm: only(true),
  norm_head: only(false),
  use_sliding_window: only(false),
}, "a JSON object");

/** What is read of generation_config.json. */
export const generationSchema = z.object({ eos_token_id: tokenIds }, "a JSON object");

/**
 * Reads JSON by a schema of this file.
 * @throws {TypeError} for a field that is missing or of another type
 * @throws {RangeError} for one whose value is out of bounds
 */
export function readFields<T>(schema: z.ZodType<T>, json: unknown, file = CONFIG_FILE): T {
  const result = schema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  const { path, message, code, input } = result.error.issues[0]!;
  const field = path.length === 0 ? "it" : JSON.stringify(path.join("."));
  const problem = input === undefined ? "is missing, and must" : `is ${shown(input)}, and must`;
  const ErrorType = code === "invalid_type" || code === "invalid_union" ? TypeError : RangeError;
  throw new ErrorType(complaint(`${field} ${problem} be ${message}`, file));
}

export function complaint(problem: string, file = CONFIG_FILE): string {
  return `Cannot use ${file} as a model's configuration: ${problem}`;
}

/** A value out of a file, on one line and bounded; JSON has no NaN. */
export function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 80 ? text.slice(0, 80) + "…" : text;
}
