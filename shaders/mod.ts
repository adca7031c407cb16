/** The catalogue of shaders: each kernel's text, the names that it binds, and the parts that complete it. */
import activation from "./lib/activation.wgsl" with { type: "text" };
import attentionMatrices from "./lib/attention_matrices.wgsl" with { type: "text" };
import attentionTile from "./lib/attention_tile.wgsl" with { type: "text" };
import batchTile from "./lib/batch_tile.wgsl" with { type: "text" };
import cachedRows from "./lib/cached_rows.wgsl" with { type: "text" };
import cacheF16 from "./lib/cache_f16.wgsl" with { type: "text" };
import cacheF32 from "./lib/cache_f32.wgsl" with { type: "text" };
import choice from "./lib/choice.wgsl" with { type: "text" };
import choices from "./lib/choices.wgsl" with { type: "text" };
import choose from "./lib/choose.wgsl" with { type: "text" };
import eight from "./lib/eight.wgsl" with { type: "text" };
import eight16 from "./lib/eight_16bit.wgsl" with { type: "text" };
import eight32 from "./lib/eight_32bit.wgsl" with { type: "text" };
import eight4 from "./lib/eight_4bit.wgsl" with { type: "text" };
import eight8 from "./lib/eight_8bit.wgsl" with { type: "text" };
import eightBlocks from "./lib/eight_blocks.wgsl" with { type: "text" };
import factorF32 from "./lib/factor_f32.wgsl" with { type: "text" };
import heldCodes from "./lib/held_codes.wgsl" with { type: "text" };
import heldValues from "./lib/held_values.wgsl" with { type: "text" };
import matrices from "./lib/matrices.wgsl" with { type: "text" };
import matrixTile from "./lib/matrix_tile.wgsl" with { type: "text" };
import octet from "./lib/octet.wgsl" with { type: "text" };
import octetF16 from "./lib/octet_f16.wgsl" with { type: "text" };
import octetF32 from "./lib/octet_f32.wgsl" with { type: "text" };
import oneBlock from "./lib/one_block.wgsl" with { type: "text" };
import ownChoices from "./lib/own_choices.wgsl" with { type: "text" };
import ownRow from "./lib/own_row.wgsl" with { type: "text" };
import pairs from "./lib/pairs.wgsl" with { type: "text" };
import piece4 from "./lib/piece_4.wgsl" with { type: "text" };
import pieceQ4 from "./lib/piece_q4.wgsl" with { type: "text" };
import pieceQ8 from "./lib/piece_q8.wgsl" with { type: "text" };
import pieces from "./lib/pieces.wgsl" with { type: "text" };
import productRows from "./lib/product_rows.wgsl" with { type: "text" };
import readyHeads from "./lib/ready_heads.wgsl" with { type: "text" };
import recurrence from "./lib/recurrence.wgsl" with { type: "text" };
import reduce from "./lib/reduce.wgsl" with { type: "text" };
import reduceSubgroup from "./lib/reduce_subgroup.wgsl" with { type: "text" };
import registerTile from "./lib/register_tile.wgsl" with { type: "text" };
import row from "./lib/row.wgsl" with { type: "text" };
import rowInput from "./lib/row_input.wgsl" with { type: "text" };
import rowTile from "./lib/row_tile.wgsl" with { type: "text" };
import sharedAlike from "./lib/shared_alike.wgsl" with { type: "text" };
import sharedGateUp from "./lib/shared_gate_up.wgsl" with { type: "text" };
import sharedQ8 from "./lib/shared_q8.wgsl" with { type: "text" };
import span from "./lib/span.wgsl" with { type: "text" };
import step from "./lib/step.wgsl" with { type: "text" };
import strip from "./lib/strip.wgsl" with { type: "text" };
import strip16 from "./lib/strip_16bit.wgsl" with { type: "text" };
import strip32 from "./lib/strip_32bit.wgsl" with { type: "text" };
import strip4 from "./lib/strip_4bit.wgsl" with { type: "text" };
import strip8 from "./lib/strip_8bit.wgsl" with { type: "text" };
import tile from "./lib/tile.wgsl" with { type: "text" };
import units from "./lib/units.wgsl" with { type: "text" };
import weightBf16 from "./lib/weight_bf16.wgsl" with { type: "text" };
import weightF16 from "./lib/weight_f16.wgsl" with { type: "text" };
import weightF32 from "./lib/weight_f32.wgsl" with { type: "text" };
import weightF8 from "./lib/weight_f8_e4m3.wgsl" with { type: "text" };
import weightQ4 from "./lib/weight_q4.wgsl" with { type: "text" };
import weightQ8 from "./lib/weight_q8.wgsl" with { type: "text" };

import append from "./append.wgsl" with { type: "text" };
import batchGateUp from "./batch_gate_up.wgsl" with { type: "text" };
import batchProduct from "./batch_product.wgsl" with { type: "text" };
import blockCandidates from "./block_candidates.wgsl" with { type: "text" };
import chunkOutputs from "./chunk_outputs.wgsl" with { type: "text" };
import chunkStates from "./chunk_states.wgsl" with { type: "text" };
import combineExperts from "./combine_experts.wgsl" with { type: "text" };
import counter from "./counter.wgsl" with { type: "text" };
import decodeDown from "./decode_down.wgsl" with { type: "text" };
import decodeExpertDown from "./decode_expert_down.wgsl" with { type: "text" };
import decodeGateUp from "./decode_gate_up.wgsl" with { type: "text" };
import decodeLinearAttention from "./decode_linear_attention.wgsl" with { type: "text" };
import decodePair from "./decode_pair.wgsl" with { type: "text" };
import decodeProduct from "./decode_product.wgsl" with { type: "text" };
import draw from "./draw.wgsl" with { type: "text" };
import embed from "./embed.wgsl" with { type: "text" };
import fill from "./fill.wgsl" with { type: "text" };
import flashAttention from "./flash_attention.wgsl" with { type: "text" };
import gateUp from "./gate_up.wgsl" with { type: "text" };
import gatedGroupNorm from "./gated_group_norm.wgsl" with { type: "text" };
import gemm from "./gemm.wgsl" with { type: "text" };
import gemmGateUp from "./gemm_gate_up.wgsl" with { type: "text" };
import halveRows from "./halve_rows.wgsl" with { type: "text" };
import headNormRope from "./head_norm_rope.wgsl" with { type: "text" };
import linearAttention from "./linear_attention.wgsl" with { type: "text" };
import matrixAttention from "./matrix_attention.wgsl" with { type: "text" };
import matrixGateUp from "./matrix_gate_up.wgsl" with { type: "text" };
import matrixGemm from "./matrix_gemm.wgsl" with { type: "text" };
import mergeAttention from "./merge_attention.wgsl" with { type: "text" };
import mergeCandidates from "./merge_candidates.wgsl" with { type: "text" };
import multiplyAdd from "./multiply_add.wgsl" with { type: "text" };
import readMemory from "./read_memory.wgsl" with { type: "text" };
import rmsNorm from "./rms_norm.wgsl" with { type: "text" };
import route from "./route.wgsl" with { type: "text" };
import scanStates from "./scan_states.wgsl" with { type: "text" };
import softmaxAttention from "./softmax_attention.wgsl" with { type: "text" };
import softwareAttention from "./software_attention.wgsl" with { type: "text" };
import softwareDown from "./software_down.wgsl" with { type: "text" };
import softwareExperts from "./software_experts.wgsl" with { type: "text" };
import softwareGateUp from "./software_gate_up.wgsl" with { type: "text" };
import softwareLinearAttention from "./software_linear_attention.wgsl" with { type: "text" };
import softwareLinearLayer from "./software_linear_layer.wgsl" with { type: "text" };
import softwareProduct from "./software_product.wgsl" with { type: "text" };
import softwareRoute from "./software_route.wgsl" with { type: "text" };
import sortExperts from "./sort_experts.wgsl" with { type: "text" };

/** Parts with one text; `reduce` is chosen by the device, `weight` and `cache` by the type of what is read. */
const PARTS = {
  step,
  activation,
  batchTile,
  choice,
  choices,
  ownChoices,
  choose,
  rowInput,
  productRows,
  sharedGateUp,
  tile,
  registerTile,
  rowTile,
  span,
  attentionTile,
  attentionMatrices,
  matrices,
  matrixTile,
  units,
  readyHeads,
  oneBlock,
  eightBlocks,
  cachedRows,
  ownRow,
  pairs,
  octet,
  recurrence,
  row,
} as const;
/** How four weights and their factor are read. */
const WEIGHTS = {
  f32: weightF32 + factorF32,
  bf16: weightBf16 + factorF32,
  f16: weightF16 + factorF32,
  f8_e4m3: weightF8 + factorF32,
  q8: weightQ8,
  q4: weightQ4,
} as const;

/** How many neighbours a lane takes at once where few rows are multiplied, and with what their products are scaled. */
const PIECES = { f32: piece4, bf16: piece4, f16: piece4, f8_e4m3: piece4, q8: pieceQ8, q4: pieceQ4 } as const;

/** How weights wait in workgroup memory. */
const HELD = {
  f32: heldCodes,
  bf16: heldCodes,
  f16: heldCodes,
  f8_e4m3: heldValues,
  q8: heldValues,
  q4: heldValues,
} as const;

/** How keys and values are read and written. */
const CACHES = { f32: cacheF32, f16: cacheF16 } as const;

/** How eight channels of them are read at once. */
const OCTETS = { f32: octet + octetF32, f16: octet + octetF16 } as const;

/** How 16 weights are read at once. */
const STRIPS = { f32: strip32, bf16: strip16, f16: strip16, f8_e4m3: strip8, q8: strip8, q4: strip4 } as const;

/** How eight weights are read at once, for those who multiply them as f16. */
const EIGHTS = {
  f32: eight + eight32,
  bf16: eight + eight16,
  f16: eight + eight16,
  f8_e4m3: eight + eight8,
  q8: eight + eight8,
  q4: eight + eight4,
} as const;

/** How a shared expert's weights are read beside the routed experts'. */
const SHARED = { alike: sharedAlike, q8: sharedQ8 } as const;

type Part =
  | keyof typeof PARTS
  | ("reduce" | "weight" | "eight" | "held" | "shared" | "cache" | "cachedOctet" | "strip" | "pieces");

/** Numbers become u32 constants. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** A kernel before its constants and variants are chosen. */
export interface Shader<Binding extends string = string, Param extends string = string> {
  readonly name: string;
  readonly text: string;
  readonly parts: readonly Part[];
  /** Only for the compiler, which cannot read the names out of the text; they are checked when a kernel is made. */
  readonly names?: { readonly bindings: Binding; readonly params: Param };
}

function shader<Binding extends string, Param extends string = never>(
  name: string,
  text: string,
  ...parts: Part[]
): Shader<Binding, Param> {
  return { name, text, parts };
}

type PartOfStack = "first" | "count";
/** Pages of a cache. */
type PartOfBlock = "first" | "count";

/** Keys and values, of one block of pages or of eight. */
type KeysAndValues = "keys" | "values";
type Eighth = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
export type BlockBinding = KeysAndValues | `${KeysAndValues}${Eighth}`;

/** What attention by units of positions binds besides, and its parameters. */
type UnitBinding = "step" | "qkv" | "carry" | "sums";
type ReadyBinding = "query_weight" | "key_weight" | "rope";
type UnitParam =
  | ("heads" | "kv_heads" | "first_row" | "rows" | "units" | "half" | "query_epsilon" | "key_epsilon")
  | (PartOfBlock | `start${Exclude<Eighth, 0>}`);

const GATE_UP = ["step", "reduce", "weight", "tile", "pieces", "shared", "rowInput", "sharedGateUp"] as const;
const MATRIX_PRODUCT = ["step", "weight", "tile", "eight", "matrices", "matrixTile", "rowTile"] as const;
const ATTENTION = ["step", "reduce", "cache", "units"] as const;

export const SHADERS = {
  append: shader<
    "step" | "query_weight" | "key_weight" | "rope" | "qkv" | "keys" | "values",
    "heads" | "kv_heads" | "half" | "query_epsilon" | "key_epsilon" | PartOfBlock
  >("append", append, "step", "reduce", "activation", "cache", "readyHeads"),
  attentionOfBlocks: shader<UnitBinding | `${KeysAndValues}${Eighth}`, UnitParam>(
    "attention_of_blocks",
    softmaxAttention,
    ...ATTENTION,
    ...["eightBlocks", "cachedRows"] as const,
  ),
  batchGateUp: shader<
    "step" | "x" | "norm" | "gate" | "gate_factors" | "up" | "up_factors" | "out",
    "outputs" | "epsilon" | PartOfStack
  >("batch_gate_up", batchGateUp, "step", "weight", "held", "tile", "batchTile", "activation"),
  batchProduct: shader<
    | ("step" | "x" | "norm" | "weight" | "factors" | "bias" | "out")
    | ("other_weight" | "other_factors" | "other_out"),
    "outputs" | "other_outputs" | "epsilon" | PartOfStack
  >("batch_product", batchProduct, "step", "weight", "held", "tile", "batchTile"),
  blockCandidates: shader<"step" | "logits" | "sums", "vocabulary">(
    "block_candidates",
    blockCandidates,
    "step",
    "reduce",
  ),
  chunkOutputs: shader<"step" | "qkv" | "decay" | "states" | "out", "heads">(
    "chunk_outputs",
    chunkOutputs,
    "step",
    "span",
    "registerTile",
    "attentionTile",
  ),
  chunkStates: shader<"step" | "qkv" | "decay" | "states", "heads">(
    "chunk_states",
    chunkStates,
    "step",
    "span",
    "registerTile",
  ),
  combineExperts: shader<"step" | "products" | "beside" | "weights" | "hidden">(
    "combine_experts",
    combineExperts,
    "step",
  ),
  counter: shader<"count">("counter", counter),
  decodeDown: shader<
    "step" | "x" | "down" | "factors" | "ids" | "weights" | "hidden" | "shared_x" | "shared_down" | "shared_factors",
    "outputs"
  >("decode_down", decodeDown, "step", "reduce", "weight", "tile", "pieces", "shared", "productRows"),
  decodeExpertDown: shader<
    "step" | "x" | "down" | "factors" | "chosen" | "products",
    "outputs" | PartOfStack
  >(
    "decode_expert_down",
    decodeExpertDown,
    "step",
    "reduce",
    "weight",
    "tile",
    "pieces",
    "choices",
    "productRows",
  ),
  decodeChosenGateUp: shader<
    | ("step" | "x" | "norm" | "gate" | "gate_factors" | "up" | "up_factors" | "logits" | "bias" | "ids" | "weights")
    | ("out" | "shared_gate" | "shared_gate_factors" | "shared_up" | "shared_up_factors" | "shared_out"),
    "outputs" | "shared_outputs" | "epsilon" | "scale" | PartOfStack
  >("decode_chosen_gate_up", decodeGateUp, ...GATE_UP, "activation", "choose", "ownChoices"),
  decodeGateUp: shader<
    | ("step" | "x" | "norm" | "gate" | "gate_factors" | "up" | "up_factors" | "chosen" | "out")
    | ("shared_gate" | "shared_gate_factors" | "shared_up" | "shared_up_factors" | "shared_out"),
    "outputs" | "shared_outputs" | "epsilon" | "scale" | PartOfStack
  >("decode_gate_up", decodeGateUp, ...GATE_UP, "activation", "choices"),
  decodeLinearAttention: shader<
    "step" | "qkv" | "query_weight" | "key_weight" | "rope" | "decay" | "state" | "out",
    "heads" | "half" | "query_epsilon" | "key_epsilon"
  >("decode_linear_attention", decodeLinearAttention, "step", "reduce", "activation"),
  decodePair: shader<
    "step" | "x" | "norm" | "weight" | "factors" | "out" | "other_weight" | "other_factors" | "other_out",
    "outputs" | "other_outputs" | "epsilon"
  >("decode_pair", decodePair, "step", "reduce", "weight", "tile", "pieces", "rowInput", "productRows"),
  decodeProduct: shader<
    "step" | "x" | "norm" | "gate" | "weight" | "factors" | "bias" | "out",
    "outputs" | "epsilon" | PartOfStack
  >("decode_product", decodeProduct, "step", "reduce", "weight", "tile", "pieces", "rowInput", "productRows"),
  draw: shader<"step" | "ids" | "logits" | "log_sum_exp" | "trail">("draw", draw),
  embed: shader<"step" | "table" | "factors" | "hidden", "columns" | "vocabulary" | PartOfStack>(
    "embed",
    embed,
    "step",
    "weight",
    "tile",
  ),
  flashAttention: shader<
    "step" | "qkv" | "keys" | "values" | "carry" | "out" | "progress",
    "heads" | "kv_heads" | "begun" | PartOfBlock
  >("flash_attention", flashAttention, "step", "cache", "span", "registerTile", "attentionTile"),
  gateUp: shader<
    "step" | "x" | "gate" | "gate_factors" | "up" | "up_factors" | "out",
    "columns" | "outputs" | PartOfStack
  >("gate_up", gateUp, "step", "reduce", "weight", "tile", "activation"),
  gatedGroupNorm: shader<"step" | "weight" | "gate" | "out", "groups" | "size" | "epsilon">(
    "gated_group_norm",
    gatedGroupNorm,
    "step",
    "reduce",
    "activation",
  ),
  gemm: shader<
    "step" | "x" | "weight" | "factors" | "bias" | "places" | "out",
    "columns" | "outputs" | "start" | "column_tiles" | PartOfStack
  >("gemm", gemm, "step", "weight", "tile", "registerTile", "rowTile"),
  gemmGateUp: shader<
    "step" | "x" | "gate" | "gate_factors" | "up" | "up_factors" | "places" | "out",
    "columns" | "outputs" | "start" | "column_tiles" | PartOfStack
  >("gemm_gate_up", gemmGateUp, "step", "weight", "tile", "registerTile", "rowTile", "activation"),
  halveRows: shader<"step" | "x" | "halves" | "scales">("halve_rows", halveRows, "step", "reduce"),
  headNormRope: shader<
    "step" | "query_weight" | "key_weight" | "rope" | "qkv",
    "heads" | "kv_heads" | "size" | "half" | "query_epsilon" | "key_epsilon"
  >("head_norm_rope", headNormRope, "step", "reduce", "activation"),
  linearAttention: shader<"step" | "qkv" | "decay" | "state" | "out", "heads">(
    "linear_attention",
    linearAttention,
    "step",
  ),
  matrixAttention: shader<
    "step" | "qkv" | "keys" | "values" | "carry" | "out" | "progress",
    "heads" | "kv_heads" | "begun" | PartOfBlock
  >("matrix_attention", matrixAttention, "step", "cache", "span", "matrices", "attentionMatrices"),
  matrixGateUp: shader<
    "step" | "x" | "scales" | "gate" | "gate_factors" | "up" | "up_factors" | "places" | "out",
    "columns" | "outputs" | "start" | "column_tiles" | PartOfStack
  >("matrix_gate_up", matrixGateUp, ...MATRIX_PRODUCT, "activation"),
  matrixGemm: shader<
    "step" | "x" | "scales" | "weight" | "factors" | "bias" | "places" | "out",
    "columns" | "outputs" | "start" | "column_tiles" | PartOfStack
  >("matrix_gemm", matrixGemm, ...MATRIX_PRODUCT),
  mergeAttention: shader<"step" | "carry" | "sums" | "out", "heads" | "first_row" | "units">(
    "merge_attention",
    mergeAttention,
    "step",
    "reduce",
    "units",
  ),
  mergeCandidates: shader<"step" | "logits" | "sums" | "ids" | "values" | "log_sum_exp", "vocabulary">(
    "merge_candidates",
    mergeCandidates,
    "step",
    "reduce",
  ),
  ownRowAttention: shader<UnitBinding | ReadyBinding | KeysAndValues, UnitParam>(
    "own_row_attention",
    softmaxAttention,
    ...ATTENTION,
    ...["oneBlock", "activation", "readyHeads", "ownRow"] as const,
  ),
  ownRowOfBlocks: shader<UnitBinding | ReadyBinding | `${KeysAndValues}${Eighth}`, UnitParam>(
    "own_row_of_blocks",
    softmaxAttention,
    ...ATTENTION,
    ...["eightBlocks", "activation", "readyHeads", "ownRow"] as const,
  ),
  rmsNorm: shader<"step" | "hidden" | "weight" | "normed", "columns" | "epsilon">(
    "rms_norm",
    rmsNorm,
    "step",
    "reduce",
  ),
  route: shader<"step" | "logits" | "bias" | "ids" | "weights", "scale">(
    "route",
    route,
    "step",
    "activation",
    "choose",
  ),
  scanStates: shader<"step" | "decay" | "states" | "state", "heads">(
    "scan_states",
    scanStates,
    "step",
    "span",
  ),
  sortExperts: shader<"step" | "ids" | "places", "tiles" | "choices">("sort_experts", sortExperts, "step", "reduce"),
  softmaxAttention: shader<UnitBinding | KeysAndValues, UnitParam>(
    "softmax_attention",
    softmaxAttention,
    ...ATTENTION,
    ...["oneBlock", "cachedRows"] as const,
  ),
  softwareAttention: shader<
    "step" | "qkv" | "keys" | "values" | "carry" | "sums",
    "heads" | "kv_heads" | "first_row" | "rows" | "units" | PartOfBlock
  >("software_attention", softwareAttention, "step", "pairs", "cachedOctet", "units"),
  softwareDown: shader<
    "step" | "x" | "down" | "factors" | "ids" | "weights" | "hidden" | "shared_x" | "shared_down" | "shared_factors",
    "columns" | "outputs" | "shared_columns" | PartOfStack
  >("software_down", softwareDown, "step", "weight", "pairs", "strip", "tile"),
  softwareExperts: shader<
    | ("step" | "hidden" | "norm" | "map" | "bias" | "gate" | "up" | "down")
    | ("shared_gate" | "shared_up" | "shared_down"),
    "scale" | "epsilon"
  >("software_experts", softwareExperts, "step", "weight", "pairs", "strip", "row", "choice", "activation"),
  softwareGateUp: shader<
    | ("step" | "x" | "norm" | "gate" | "gate_factors" | "up" | "up_factors" | "ids" | "out")
    | ("shared_gate" | "shared_gate_factors" | "shared_up" | "shared_up_factors" | "shared_out"),
    "columns" | "outputs" | "shared_outputs" | "epsilon" | PartOfStack
  >("software_gate_up", softwareGateUp, "step", "weight", "pairs", "strip", "tile", "activation"),
  softwareLinearAttention: shader<
    "step" | "qkv" | "query_weight" | "key_weight" | "rope" | "decay" | "state" | "out",
    "heads" | "half" | "query_epsilon" | "key_epsilon"
  >("software_linear_attention", softwareLinearAttention, "step", "pairs", "octet", "recurrence"),
  softwareLinearLayer: shader<
    | ("step" | "hidden" | "norm" | "qkv_map" | "gate_map" | "dense")
    | ("query_weight" | "key_weight" | "rope" | "decay" | "state" | "group_norm"),
    "half" | "query_epsilon" | "key_epsilon" | "epsilon" | "group_epsilon"
  >("software_linear_layer", softwareLinearLayer, "step", "weight", "pairs", "strip", "row", "octet", "recurrence"),
  softwareProduct: shader<
    | ("step" | "x" | "norm" | "gate" | "weight" | "factors" | "bias" | "out")
    | ("other_weight" | "other_factors" | "other_out"),
    "outputs" | "other_outputs" | "epsilon" | PartOfStack
  >("software_product", softwareProduct, "step", "weight", "pairs", "strip", "tile"),
  softwareRoute: shader<
    "step" | "x" | "norm" | "map" | "factors" | "bias" | "ids" | "weights",
    "columns" | "scale" | "epsilon"
  >("software_route", softwareRoute, "step", "weight", "pairs", "strip", "tile", "choice", "activation"),
} as const;

/** Kernels that are no part of the model: they make random weights, and measure what a device can do. */
export const TOOLS = {
  fill: shader<"out", "seed" | "first" | "count" | "spread" | "centre">("fill", fill),
  multiplyAdd: shader<"out">("multiply_add", multiplyAdd),
  readMemory: shader<"source" | "out">("read_memory", readMemory),
} as const;

/** All that kernels are made of, for whoever must notice a change. */
export const SOURCES: readonly string[] = [
  ...[...Object.values(SHADERS), ...Object.values(TOOLS)].map(({ text }) => text),
  ...[PARTS, WEIGHTS, EIGHTS, HELD, PIECES, SHARED, CACHES, OCTETS, STRIPS].flatMap((parts) => Object.values(parts)),
  ...[reduce, reduceSubgroup, strip, pieces],
];

/** What completes a shader's text. */
export interface Variant {
  /** Lines that the device's compiler wants before anything else. */
  readonly enables: readonly string[];
  readonly subgroups: boolean;
  /** Type of the weights that the kernel reads; null if it reads none. */
  readonly weight: keyof typeof WEIGHTS | null;
  /** How a shared expert's are stored beside them. */
  readonly shared: keyof typeof SHARED;
  /** Type of the keys and values that the kernel reads or writes; null if there are none. */
  readonly cache: keyof typeof CACHES | null;
  readonly constants: Constants;
}

/** The whole text of a kernel: enable lines, constants, shared parts, its file. */
export function assemble(shader: Shader, { enables, subgroups, weight, shared, cache, constants }: Variant): string {
  const lines = Object.entries(constants).map(([name, value]) =>
    `const ${name} = ${typeof value === "number" ? `${value}u` : value};`
  );
  const parts = shader.parts.map((part) => {
    if (part === "reduce") return subgroups ? reduceSubgroup : reduce;
    if (part === "cache") return CACHES[cache!];
    if (part === "eight") return EIGHTS[weight!];
    if (part === "held") return HELD[weight!];
    if (part === "shared") return SHARED[shared];
    if (part === "cachedOctet") return OCTETS[cache!];
    if (part === "pieces") return PIECES[weight!] + pieces;
    if (part === "strip") return strip + STRIPS[weight!];
    return part === "weight" ? WEIGHTS[weight!] : PARTS[part];
  });
  return [...enables, ...lines, ...parts, shader.text].join("\n");
}
