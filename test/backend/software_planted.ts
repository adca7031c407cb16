/** Errors for the kernels that only devices that compute on a CPU choose. */
import { plant, type Planted } from "./planted.ts";

const FEW = /^linearAttention of few rows, \d heads of (64|128)/;
const BATCH = /^linearAttention of a batch, 4 heads of 64/;
const ONE = /^project bf16 .1, (64|272)/;
const SEVERAL = /^project bf16 .6/;
const ADD = /^projectAdd bf16 .1, 272/;
const FEW_QUERIES = /^softmaxAttention (6 heads of 64|8 heads of 128) .* up to (3|16|17) rows/;
const EXPERTS = /^experts bf16 3 rows/;

export const IN_SOFTWARE: readonly Planted[] = [
  plant("software_product", "weights16(at.w", "weights16(at.z", ONE),
  plant("software_product", "other_weights16(at.y", "other_weights16(at.x", ONE),
  plant("software_product", "index - tiles", "index", ONE),
  plant("software_product", "i + lane < first + size", "true", SEVERAL),
  plant("software_product", "other_out[row * params.other_outputs", "other_out[row * params.outputs", SEVERAL),
  plant("software_product", "strip_of(held3.y, j)", "strip_of(held2.y, j)", SEVERAL),
  plant("software_product", "value += bias[n[j]]", "value -= bias[n[j]]", ADD),
  plant("software_product", "if (ADD)", "if (!ADD)", ADD),
  plant("software_product", "m < share", "m <= share", ADD),
  plant("software_product", "+ params.epsilon", "", /^project behind/),
  plant("software_product", "return step_output(row)", "return row", /^head .* rows 0,2 of 3/),
  plant("software_product", "y.d / (1.0 + exp(-gate.d))", "y.d", BATCH),
  plant("software_product", "first < size * GROUPS", "first < size", BATCH),
  plant("software_product", "packed >> 32u", "packed", /^project f16 .1, 64/),
  plant("software_product", "packed[3]", "packed[2]", /^project f32 .1, 64/),
  plant("software_product", "packed.w, 3u", "packed.z, 3u", /^project q8 .1, 64/),
  plant("software_product", "packed.y, 3u", "packed.y, 2u", /^project q4 .1, 64/),
  plant("software_product", "scaled(codes.d", "scaled(codes.c", /^project f8_e4m3 .2, 288/),
  plant("software_gate_up", "ids[choice]", "ids[0u]", EXPERTS),
  plant("software_gate_up", "choice / PER_ROW, tile", "0u, tile", EXPERTS),
  plant("software_gate_up", "shared_ups16(at.w", "shared_ups16(at.z", EXPERTS),
  plant("software_gate_up", "(index - routed) / shared_tiles", "(index - routed) / shared_tiles / 2u", EXPERTS),
  plant("software_gate_up", "exp(-values)", "exp(values)", /^gateUp q8 .5/),
  plant("software_down", "weights[choice] *", "weights[t] *", EXPERTS),
  plant("software_down", "shared_downs(tile, i + j)", "shared_downs(tile, i)", EXPERTS),
  plant("software_down", "choice * (params.columns / 2u)", "choice * params.columns", EXPERTS),
  plant("software_linear_attention", "position == 0u", "position == 9999u", FEW),
  plant("software_linear_attention", "decay[head]", "decay[0]", FEW),
  plant("software_linear_attention", "select(-1.0, 1.0, is_second)", "select(1.0, -1.0, is_second)", FEW),
  plant("software_linear_attention", "Octet(key_weight[2u * o]", "Octet(query_weight[2u * o]", FEW),
  plant("software_linear_attention", "qs.high.w, ks.high.w", "qs.high.z, ks.high.w", FEW),
  plant("software_linear_attention", "packed_of(value.high.zw)", "packed_of(value.high.xy)", FEW),
  plant("software_linear_attention", "(first + j) * 8u", "j * 8u", FEW),
  plant("software_linear_attention", "norm_scale(lane, row, 1u, head)", "norm_scale(lane, row, 0u, head)", FEW),
  plant("software_linear_attention", "x / (1.0 + exp(-x))", "x", FEW),
  plant("software_attention", "min(size - 1u, at.position - begin)", "size - 1u", FEW_QUERIES),
  plant("software_attention", "params.heads / params.kv_heads", "params.kv_heads", FEW_QUERIES),
  plant("software_attention", "begin / PAGE) - params.first", "begin / PAGE)", /^softmaxAttention 6 heads of 64/),
  plant("software_attention", "total * fade", "total", FEW_QUERIES),
  plant("software_attention", "sum = faded(sum, fade);", "", FEW_QUERIES),
  plant("software_attention", "octet_of(queries.third, lane)", "octet_of(queries.second, lane)", FEW_QUERIES),
  plant("software_attention", "tile + lane <= last", "true", FEW_QUERIES),
  plant("software_attention", "min(LANES, last + 1u - tile)", "LANES - 1u", FEW_QUERIES),
  plant("software_attention", "queries_at(q + o)", "queries_at(q)", /^softmaxAttention 8 heads of 128/),
  plant("software_attention", "ROW + slice + lane", "ROW + lane", /^softmaxAttention 8 heads of 128/),
  plant("software_attention", "halves(held.y)", "halves(held.x)", /^softmaxAttention 8 heads of 128/),
  plant("software_attention", "subgroupMax(scores)", "scores", /^softmaxAttention .* loud/),
  plant("software_attention", "scaled(octet_at(qkv[i]), 1.0 / sqrt(f32(SIZE)))", "octet_at(qkv[i])", FEW_QUERIES),
  plant("software_route", "first + spread", "spread", /^route 2 rows to 6 of 72/),
  plant("software_route", "better < GROUPS_KEPT", "better <= GROUPS_KEPT", /^route 2 rows to 6 of 72/),
  plant("software_route", "max(second, min(best, choice))", "max(second, choice)", /^route 2 rows to 6 of 72/),
  plant("software_route", "rival == own && other < e", "rival == own && other > e", /^route 17/),
  plant("software_route", "select(second, 0.0, GROUP_SIZE == 1u)", "second", /^route .*groups of one, ties/),
  plant("software_route", "exp(scores[e] - whole.y) / whole.x", "exp(scores[e] - whole.y)", /^route 5/),
  plant("software_route", "total += scores[chosen[k]]", "total += choices[chosen[k]]", /^route 9/),
];
