/** Errors to plant in the kernels for matrix units. */
import { plant, type Planted } from "./planted.ts";

const PROJECT = /^matrix project bf16/;
const ADD = /^matrix projectAdd/;
const GATE = /^matrix gateUp bf16/;
const EXPERTS = /^matrix experts bf16/;

export const IN_MATRIX: readonly Planted[] = [
  plant("halve_rows", "(exponent - TOP)", "(exponent - TOP + 1u)", ADD),
  plant("halve_rows", "row >= step_rows() * PER_ROW", "row >= step_rows()", EXPERTS),
  plant("halve_rows", "pack2x16float(values.zw)", "pack2x16float(values.xy)", ADD),
  plant("matrix_gemm", "* scales[tile_rows[row]]", "* scales[0]", ADD),
  plant("matrix_gemm", "if (ADD)", "if (!ADD)", ADD),
  plant("matrix_gemm", "value += bias[n / 4u]", "value -= bias[n / 4u]", ADD),
  plant("matrix_gemm", "row >= count", "row >= count - 1u", ADD),
  plant("matrix_gemm", "k < params.columns)", "k < params.columns + 1u)", PROJECT),
  plant("matrix_gemm", "factors[factor_at(block)]", "factors[factor_at(block + 1u)]", /^matrix project q8/),
  plant("matrix_gemm", "tile_rows[at.y]", "tile_rows[at.x]", PROJECT),
  plant("matrix_gemm", "weight_at(1u, w_rows.y + next)", "weight_at(1u, w_rows.x + next)", PROJECT),
  plant("matrix_gemm", "row_of(subgroup, 2u) < count", "row_of(subgroup, 2u) + MATRIX_M < count", EXPERTS),
  plant("matrix_gemm", "rows_at(subgroup, 2u, 0u)", "rows_at(subgroup, 1u, 0u)", PROJECT),
  plant("matrix_gemm", "first + MATRIX_N * PITCH, PITCH", "first, PITCH", PROJECT),
  plant("matrix_gemm", "columns_at(subgroup, OCTETS)", "columns_at(subgroup, 0u)", PROJECT),
  plant("matrix_gemm", "first + MATRIX_N / 4u, sums.b", "first, sums.b", PROJECT),
  plant("matrix_gemm", "pack2x16float(values[1].xy)", "pack2x16float(values[0].xy)", PROJECT),
  plant("matrix_gate_up", "gated(held_sums(from_gate) * scale", "gated(held_sums(from_gate)", GATE),
  plant("matrix_gate_up", "held_sums(from_gate + PAIRS / 4u)", "held_sums(from_gate)", GATE),
  plant("matrix_gate_up", "+ pairs % PAIRS", "", GATE),
  plant("matrix_gate_up", "if (is_up(i)) { return up[at]; }", "", GATE),
  plant("matrix_gate_up", "own = up_factors", "own = gate_factors", /^matrix gateUp f8/),
  plant("matrix_gate_up", "tile_rows_of(line) / PER_ROW", "tile_rows_of(line)", EXPERTS),
  plant("matrix_gate_up", "scales[choice / PER_ROW]", "scales[choice]", EXPERTS),
];

const SPANS = /^softmaxAttention 4 heads of 64 over 2, f32/;
const BLOCKS = /^softmaxAttention 4 heads of 16 over 2, f32 in pages of 64, 3 . 1 . 6/;

/** And in the one for softmax attention, which none of the cases for products has. */
export const IN_MATRIX_ATTENTION: readonly Planted[] = [
  plant("matrix_attention", "positions <= vec4u(last)", "positions < vec4u(last)", SPANS),
  plant("matrix_attention", "first_head + row / SPAN;", "first_head;", SPANS),
  plant("matrix_attention", "ceil(largest)", "ceil(largest) + 1000.0", SPANS),
  plant("matrix_attention", "key_columns(1u, 3u)", "key_columns(0u, 3u)", SPANS),
  plant("matrix_attention", "value_columns(stage, 1u, 5u)", "value_columns(stage, 0u, 5u)", SPANS),
  plant("matrix_attention", "value_columns(stage,", "value_columns(other,", SPANS),
  plant("matrix_attention", "(part * TEAM_QUADS + i) / 2u", "0u", SPANS),
  plant("matrix_attention", "total_of_team(total)", "(total_of_team(total) + 1.0)", SPANS),
  plant("matrix_attention", "block % PAGE", "0u", SPANS),
  plant("matrix_attention", "total = before.y", "total = 0.0", BLOCKS),
  plant("matrix_attention", "sums0 = sums_before(subgroup, 0u)", "", BLOCKS),
];

/** And where a row's largest score grows. */
export const IN_LOUD_ATTENTION: Planted = plant(
  "matrix_attention",
  "scaled_sums(subgroup, sums0.first, sums0.second, factor)",
  "sums0",
  /^softmaxAttention .* 65 .* loud/,
);
