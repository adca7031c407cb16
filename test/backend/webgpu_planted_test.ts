/** Proves that the table of cases sees every kernel: an error planted in its text fails a case. */
import { strict as assert } from "node:assert";
import { SHADERS } from "../../shaders/mod.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CASES, checkCase } from "./cases.ts";
import { plant, type Planted } from "./planted.ts";
import { IN_SOFTWARE } from "./software_planted.ts";
import { deviceOf, testOnGpu, VARIANTS } from "./webgpu_device.ts";

const LINEAR = /^linearAttention (6|16) heads of 8/;
const FEW = /^linearAttention of (few rows|a batch), (4|6) heads/;
const PAIR = /^project bf16 .(6|7),/;
const CHAIN = /^a chain of/;
const FEW_UNEVEN = /^linearAttention of few rows, 3 heads/;
const SOFTMAX = /^softmaxAttention (6 heads of 32|16 heads of 8)/;
const UNITS = /^softmaxAttention .* up to (3|16|17) rows/;
const OWN = /^softmaxAttention .* up to 1 rows/;
const HALVES = /^softmaxAttention .* f16 .* up to (3|17) rows/;
const BLOCKS = /^softmaxAttention 2 heads of 8 .* 3 \+ 1 \+ 6/;
const ALL_BLOCKS = /^softmaxAttention 2 heads of 8 .* 1 \+ 1/;

/** What is wrong with one variant only is planted in that variant. */
const IN_EVERY_VARIANT: readonly Planted[] = [
  plant(
    "append",
    "select(-turns[j].y, turns[j].y, is_second)",
    "turns[j].y",
    UNITS,
  ),
  plant("append", "if (is_query) { return vec4f(query_weight", "if (!is_query) { return vec4f(query_weight", UNITS),
  plant("append", "NORM && !head.is_value", "NORM", UNITS),
  plant("append", "+ position % PAGE", "", UNITS),
  plant("append", "step_row(t).pages, position / PAGE", "step_row(t).pages, 0u", BLOCKS),
  plant("append", "position / PAGE) - params.first", "position / PAGE)", BLOCKS),
  plant("append", "silu(value.y)", "value.y", /^softmaxAttention 8 heads/),
  plant(
    "append",
    "clamp(values, vec4f(-LARGEST_HALF), vec4f(LARGEST_HALF))",
    "values",
    /^softmaxAttention .* v too large/,
  ),
  plant("append", "if (i >= CHANNELS4) { ready = vec4f(); }", "", /^softmaxAttention 6 heads of 12/),
  plant("append", "turns[j] = turn_at(position, j)", "turns[j] = first", /^softmaxAttention 8 heads of 128/),
  plant("append", "squares += dot(value, value);", "", UNITS),
  plant("own_row_attention", "hold_key(last * CHUNKS + i", "hold_key(i", OWN),
  plant("own_row_attention", "i == QUERIES + 1u", "false", OWN),
  plant("own_row_attention", "select(value, key, i == QUERIES)", "value", OWN),
  plant("own_row_attention", "HEAD_TEAMS * vec3u(0u, 1u, 2u)", "HEAD_TEAMS * vec3u(0u, 1u, 1u)", OWN),
  plant("own_row_attention", "hold_head(lane, head2, squares.z)", "hold_head(lane, head2, squares.y)", OWN),
  plant("own_row_of_blocks", "at.position - begin < size", "true", OWN),
  plant("own_row_of_blocks", "case 1u: { keys1[i] = key; }", "case 1u: { keys0[i] = key; }", OWN),
  plant("own_row_of_blocks", "case 1u: { values1[i] = value; }", "case 1u: { values0[i] = value; }", OWN),
  plant("batch_gate_up", "silu(gate_sum)", "gate_sum", /^gateUp bf16 .21/),
  plant("batch_gate_up", "if (row.is_up)", "if (!row.is_up)", /^gateUp bf16 .21/),
  plant("batch_gate_up", "up_factors[factor_at(block)]", "gate_factors[factor_at(block)]", /^gateUp q4 .21/),
  plant("batch_gate_up", "row / 8u * 4u + row % 4u", "row / 8u * 4u", /^gateUp bf16 .21/),
  plant(
    "batch_product",
    "select(vec4f(), value, k < COLUMNS)",
    "value",
    /^project bf16 .13/,
  ),
  plant("batch_product", "next_x[3] = x_at(x_from[3]", "next_x[3] = x_at(x_from[2]", /^project bf16 .32/),
  plant("batch_product", "next_w[1] = weights_at(w_from[1]", "next_w[1] = weights_at(w_from[0]", /^project bf16 .32/),
  plant(
    "batch_product",
    "hold_x(at, row + 3u * LANES_OF_VEC4",
    "hold_x(at, row + 2u * LANES_OF_VEC4",
    /^project bf16 .32/,
  ),
  plant(
    "batch_product",
    "row + 3u * LANES_OF_VEC4, squares[3]",
    "row + 3u * LANES_OF_VEC4, squares[2]",
    /^project bf16 .32/,
  ),
  plant(
    "batch_product",
    "high0 = add_products(high0, w1, x0)",
    "high0 = add_products(high0, w0, x0)",
    /^project bf16 .32/,
  ),
  plant("batch_product", "advance(2u * group + 1u", "advance(2u * group", /^project bf16 .32/),
  plant("batch_product", "held_sums(at + GROUP_LANES))", "held_sums(at))", /^project bf16 .32/),
  plant("batch_product", "at += 4u * GROUP_LANES", "at += 3u * GROUP_LANES", /^project bf16 .32/),
  plant("batch_product", "(tile - tiles) * TILE_COLUMNS", "tile * TILE_COLUMNS", /^project bf16 .21/),
  plant("batch_product", "row * params.other_outputs + n", "row * params.outputs + n", /^project bf16 .21/),
  plant("batch_product", "other_factors[factor_at(block)]", "factors[factor_at(block)]", /^project q8 .10/),
  plant("batch_product", "value = bias[n]", "value = -bias[n]", /^project f32 .11/),
  plant("batch_product", "if (ADD)", "if (!ADD)", /^projectAdd bf16 .17/),
  plant("batch_product", "return step_output(r)", "return r", /^head .* of 12, 16 of 516/),
  plant("batch_product", "* ROW_LANES + i % GROUP_LANES / ACROSS", "* ROW_LANES", /^project bf16 .13/),
  plant("batch_product", "+ half * 4u", "", /^project f16 .30/),
  plant("block_candidates", "exp(near - larger)", "exp(near + larger)", /^head .* of 5000/),
  plant("block_candidates", "exp(far - larger)", "0.0", /^head .* of 70001/),
  plant("block_candidates", "r * params.vocabulary + min(", "min(", /^head .* of 5000/),
  plant("block_candidates", "vec4<bool>(i < BLOCK)", "vec4<bool>(true)", /^head .* 16 of 517/),
  plant("block_candidates", "sums[r * BLOCKS + first + j]", "sums[r * BLOCKS + first]", /^head .* of 5000/),
  plant("draw", "/ draw.temperature), is_inside", "), is_inside", /^draw/),
  plant("draw", "kept += exp", "kept = exp", /^draw/),
  plant("draw", "exp(sum - least) - others[LAST]", "exp(sum - least)", /^draw/),
  plant("draw", "masses[lane] += mass", "masses[lane] += other", /^draw/),
  plant("draw", "masses[min(reached, LAST)], reached < PER_ROW", "masses[LAST], reached < PER_ROW", /^draw/),
  plant("draw", "< draw.top_p * kept", "< kept", /^draw/),
  plant("draw", "if (likely < PER_ROW)", "if (likely > PER_ROW)", /^draw/),
  plant("draw", "< draw.u * kept", "< draw.u * draw.u * kept", /^draw/),
  plant("draw", "min(place, min(draw.top_k, PER_ROW) - 1u)", "min(place, LAST) ^ 1u", /^draw/),
  plant("draw", "counter.x >= counter.y", "counter.x + 1u >= counter.y", /^draw/),
  plant("draw", "step[2u + r].x = token", "step[2u + r].x = place", /^draw/),
  plant("draw", "(counter.x * outputs + r) * NOTE", "r * NOTE", /^draw/),
  plant("draw", "written | (written << 16u)", "written", CHAIN),
  plant("draw", "header.z + outputs + 2u * (counter.x * outputs + r)", "header.z + outputs + 2u * r", /^draw/),
  plant("merge_candidates", "block.x - largest", "largest - block.x", /^head .* of 5000/),
  plant("merge_candidates", "exponentials(eight[4], larger)", "exponentials(eight[3], larger)", /^head .* of 70001/),
  plant("merge_candidates", "note_block(eight[5], b +", "note_block(eight[4], b +", /^head .* of 70001/),
  plant("merge_candidates", "let logit6 = logit_at(r, i +", "let logit6 = logit_at(r, i / 2u +", /^head .* of 5000/),
  plant("merge_candidates", "other.token < own.token", "other.token > own.token", /^head .* large logits/),
  plant("merge_candidates", "<= MOST && reached.y >= PER_ROW", "> 0u", /^head .* of equal logits/),
  plant("merge_candidates", "token >= last.y", "token > last.y", /^head .* of equal logits/),
  plant(
    "merge_candidates",
    "atomicMin(&best_token, own.y)",
    "atomicMax(&best_token, own.y)",
    /^head .* of equal logits/,
  ),
  plant("merge_candidates", "key < last.x ||", "", /^head .* of equal logits/),
  plant("embed", "step_row(t).token", "step_row(t).position", /^embed tokens/),
  plant("decode_down", "tile_at(ids[k]", "tile_at(ids[0u]", /^experts bf16 1 rows/),
  plant("decode_down", "held_weights[k] = weights[k]", "held_weights[k] = weights[0u]", /^experts bf16 1 rows/),
  plant("decode_down", "let y0 = shared_x[i]", "let y0 = shared_x[0u]", /^experts bf16 1 rows, 3 of 9/),
  plant("decode_down", "vec4u(k * COLUMNS)", "vec4u()", /^experts bf16 1 rows/),
  plant("decode_expert_down", "input(sources.y, i", "input(sources.x, i", /^experts bf16 (5|17)/),
  plant("decode_expert_down", "choices.at.y, h, tile, sums1", "choices.at.y, h, tile, sums0", /^experts bf16 (5|17)/),
  plant("decode_expert_down", "TEAMS + lane.index / TEAM) * 4u", "TEAMS) * 4u", /^experts bf16 (5|17)/),
  plant("decode_expert_down", "count > 1u);", "count > 2u);", /^experts bf16 (5|17)/),
  plant("decode_expert_down", "4u * TILES + chosen[4u * index + 1u]", "4u * TILES", /^experts bf16 (5|17)/),
  plant("decode_pair", "other_weight[at.y]", "other_weight[at.x]", PAIR),
  plant("decode_pair", "other_factors[factor_at(block.z)]", "factors[factor_at(block.z)]", /^project q4 .7/),
  plant("decode_pair", "/ row_tiles * TEAMS + lane.index / TEAM", "/ row_tiles * TEAMS", /^project q4 .7/),
  plant("decode_pair", "select(block, block - blocks, is_other)", "block", PAIR),
  plant("decode_pair", "other_out[row * params.other_outputs", "other_out[row * params.outputs", PAIR),
  plant("decode_pair", "sums1), found.scales.y", "sums1), found.scales.x", PAIR),
  plant("decode_pair", "sum_team4(lane, sums3)", "sum_team4(lane, sums2)", PAIR),
  plant("decode_gate_up", "e * N + rows", "N + rows", /^experts bf16 5/),
  plant("decode_chosen_gate_up", "e * N + rows", "N + rows", /^experts bf16 1/),
  plant("decode_chosen_gate_up", "weight(k, total) * params.scale", "weight(k, total)", /^experts bf16 1/),
  plant("decode_chosen_gate_up", "ids[k] = chosen[k]", "ids[k] = chosen[0u]", /^experts bf16 1/),
  plant("decode_chosen_gate_up", "place < GROUPS_KEPT", "place <= GROUPS_KEPT", /^experts bf16 1 .* groups/),
  plant("decode_chosen_gate_up", "return bias[e];", "return 0.0;", /^experts bf16 1 .* groups/),
  plant("decode_gate_up", "choices.at / PER_ROW * COLUMNS", "choices.at * COLUMNS", /^experts bf16 5/),
  plant("decode_gate_up", "+ params.epsilon", "+ 1.0", /^experts bf16 5/),
  plant("decode_gate_up", "index / shared_blocks * ROWS", "0u", /^experts bf16 5/),
  plant("decode_gate_up", "input(sources.y, i", "input(sources.x, i", /^experts bf16 5/),
  plant("decode_gate_up", "first + 1u, count > 1u", "first, count > 1u", /^experts bf16 5/),
  plant("decode_gate_up", "shared_up[at.w]", "shared_up[at.z]", /^experts bf16 5/),
  plant("decode_linear_attention", "segment.start > 0u", "true", FEW),
  plant("decode_linear_attention", "if (position > 0u)", "", FEW),
  plant("decode_linear_attention", "decay[head]", "decay[0]", FEW),
  plant("decode_linear_attention", "read_block(first.x)", "read_block(first.y)", FEW),
  plant("decode_linear_attention", "write_block(second.y", "write_block(second.x", FEW_UNEVEN),
  plant("decode_linear_attention", "row.places", "row.places.xx", CHAIN),
  plant("decode_linear_attention", "select(-sine, sine, is_second)", "sine", FEW),
  plant("decode_linear_attention", "vec2f(query_weight[c], key_weight[c])", "vec2f(query_weight[c])", FEW),
  plant("decode_linear_attention", "pairs[c + 2u].y * v", "pairs[c + 1u].y * v", FEW),
  plant("decode_linear_attention", "values * scales.y", "values", FEW),
  plant("decode_linear_attention", "let second = first +", "let second = bases +", FEW_UNEVEN),
  plant("decode_linear_attention", "sum += output_of(block1", "sum = output_of(block1", FEW_UNEVEN),
  plant("decode_linear_attention", "group_sum(g + 3u, across)", "group_sum(g + 2u, across)", FEW_UNEVEN),
  plant("merge_attention", "exp(vec4f(unit0.x, unit1.x, unit2.x, unit3.x) - largest)", "vec4f(1.0)", BLOCKS),
  plant("merge_attention", "total += dot(weights,", "total += dot(vec4f(1.0),", BLOCKS),
  plant("merge_attention", "four < vec4u(units)", "vec4<bool>(true)", BLOCKS),
  plant("merge_attention", "weights.w * sums3", "weights.w * sums2", /^softmaxAttention at position/),
  plant("merge_attention", "other < SHARES", "other < 1u", BLOCKS),
  plant("softmax_attention", "min(size - 1u, at.position - begin)", "size - 1u", UNITS),
  plant("softmax_attention", "params.heads / params.kv_heads", "params.kv_heads", UNITS),
  plant("softmax_attention", "total *= fade;", "", UNITS),
  plant("softmax_attention", "sums_low = scaled(sums_low, fade);", "", UNITS),
  plant("attention_of_blocks", "step_page(at.pages, begin / PAGE)", "step_page(at.pages, 0u)", BLOCKS),
  plant("attention_of_blocks", "page - params.first;", "page;", ALL_BLOCKS),
  plant("attention_of_blocks", "start = params.start2;", "", BLOCKS),
  plant("attention_of_blocks", "block = 2u;", "", BLOCKS),
  plant("attention_of_blocks", "case 2u: { return Eight(four_keys2(i), four_keys2(j)); }", "", BLOCKS),
  plant("attention_of_blocks", "Chunks(values7[i.x], values7[i.y]", "Chunks(values7[i.x], values6[i.y]", ALL_BLOCKS),
  plant("softmax_attention", "tile + i <= last", "true", UNITS),
  plant("softmax_attention", "min(rows + 4u * SHARES,", "min(rows,", /^softmaxAttention 4 heads of 64 over 2,/),
  plant("own_row_attention", "products(part + KEY_LANES, eight", "products(part, eight", OWN),
  plant("softmax_attention", "product_of(3u, c, key)", "product_of(2u, c, key)", /^softmaxAttention 8 heads/),
  plant("softmax_attention", "dot(queries[q + 1u], second_quad(key))", "dot(queries[q + 1u], first_quad(key))", HALVES),
  plant(
    "softmax_attention",
    "add(sums_high, second_quad(four.fourth)",
    "add(sums_high, second_quad(four.third)",
    HALVES,
  ),
  plant("merge_attention", "(positions + unit_size(positions) - 1u) /", "positions /", BLOCKS),
  plant("decode_product", "1.0 + exp(-gate[source + i])", "1.0", FEW),
  plant("decode_product", "group_scales[i / GROUP_COLUMNS]", "group_scales[0]", FEW),
  plant("decode_product", "vec4f(dot(value, value)), places", "vec4f(1.0), places", FEW),
  plant("decode_product", "/ row_tiles * TEAMS + lane.index / TEAM", "/ row_tiles * TEAMS", /^projectAdd q4 .1/),
  plant("decode_product", "= input_at(sources.x, i, 0u)", "= input_at(sources.x, 0u, 0u)", /^projectAdd q4 .1/),
  plant("decode_product", "codes_of(held.d, j)", "codes_of(held.c, j)", /^project bf16/),
  plant("gated_group_norm", "sigmoid(gate[base + i])", "silu(gate[base + i])", LINEAR),
  plant("gated_group_norm", "index % params.groups", "index / params.groups", LINEAR),
  plant("head_norm_rope", "- second * rope[angle + half]", "+ second * rope[angle + half]", LINEAR),
  plant("head_norm_rope", "select(key_weight[c], query_weight[c], is_query)", "query_weight[c]", LINEAR),
  plant("head_norm_rope", "select(j + half, j, j < half)", "j", LINEAR),
  plant("chunk_states", "+ span.rows - 1u - row]", "+ span.rows - row]", LINEAR),
  plant("chunk_outputs", "power(i / 16u + 1u)", "power(i / 16u)", LINEAR),
  plant("chunk_outputs", "b <= vec4u(a)", "b < vec4u(a)", LINEAR),
  plant("chunk_outputs", "right[row % 4u][row / 4u][k]", "right[row / 16u][row % 16u][k]", LINEAR),
  plant("chunk_outputs", "first_channel + row", "row", /^linearAttention 2 heads of 128/),
  plant("combine_experts", "weights[at.y]", "weights[at.x]", /^experts bf16 90/),
  plant("combine_experts", "products[places.y]", "products[places.x]", /^experts bf16 90/),
  plant("combine_experts", "if (k + 2u < PER_ROW)", "if (k < PER_ROW)", /^experts bf16 90/),
  plant("combine_experts", "{ sum += last; }", "{}", /^experts f32 19 rows/),
  plant("combine_experts", "beside[t * COLUMNS", "beside[0u * COLUMNS", /^experts f32 19 rows/),
  plant("combine_experts", "% SLICES * LANES", "* 0u", /^experts bf16 90/),
  plant("flash_attention", "positions <= vec4u(last.x)", "positions < vec4u(last.x)", SOFTMAX),
  plant("flash_attention", "params.heads / params.kv_heads", "params.kv_heads", SOFTMAX),
  plant("flash_attention", "total0 * factor0 +", "total0 +", SOFTMAX),
  plant("flash_attention", "rescaled(sums00, factor0)", "sums00", SOFTMAX),
  plant("flash_attention", "first_head + row / SPAN", "first_head", SOFTMAX),
  plant("flash_attention", "sum_of(i + 3u, y)", "sum_of(i + 2u, y)", SOFTMAX),
  plant(
    "flash_attention",
    "largest_of(i + 3u, y)",
    "largest_of(i + 2u, y)",
    /^softmaxAttention .* 65 rows at once, loud/,
  ),
  plant("flash_attention", "progress[progress_at] = through", "progress[progress_at] = begin", BLOCKS),
  plant("flash_attention", "step_page(pages, through)", "step_page(pages, 0u)", BLOCKS),
  plant("flash_attention", "cached = first + block % PAGE", "cached = first", /^softmaxAttention .* pages of 128/),
  plant("flash_attention", "total0 = before0[1]", "total0 = before1[1]", BLOCKS),
  plant(
    "flash_attention",
    "unpack2x16float(held.y)",
    "unpack2x16float(held.x)",
    /^softmaxAttention 4 heads of 64 .* f16/,
  ),
  plant("flash_attention", "values_of(k, at.x, 4u)", "values_of(k, at.x, 0u)", /^softmaxAttention 4 heads of 128/),
  plant("gemm", "row >= rows.count", "row >= TILE_ROWS", /^projectAdd f16 .77/),
  plant("gemm", "value += bias[n]", "value -= bias[n]", /^projectAdd f16 .77/),
  plant("gemm", "multiply(sums10, x1", "multiply(sums10, x0", /^project bf16 .131/),
  plant("gemm", "multiply(sums01, x0, w1)", "multiply(sums01, x0, w0)", /^project bf16 .131/),
  plant("gemm", "multiply(sums11, x1", "multiply(sums11, x0", /^project bf16 .131/),
  plant("gemm", "hold_w(held + 3u * STEP, part, w3)", "hold_w(held + 3u * STEP, part, w2)", /^experts bf16 90/),
  plant("gemm", "if (ADD)", "if (!ADD)", /^projectAdd f16 .77/),
  plant("gemm", "b.wwww", "b.zzzz", /^project bf16 .33/),
  plant("gemm", ", k < params.columns)", ", true)", /^project bf16 .33/),
  plant("gemm_gate_up", "/ PER_ROW * params.columns", "* params.columns", /^experts bf16 41/),
  plant("gemm_gate_up", "silu(gate_column.y) * up_column.y", "gate_column.y * silu(up_column.y)", /^gateUp bf16 .67/),
  plant("gemm_gate_up", "places[4u * index + 1u]", "places[4u * index]", /^experts bf16 90/),
  plant("scan_states", "min(SPAN, segment.rows - done)", "SPAN", LINEAR),
  plant("scan_states", "segment.start == 0u", "segment.start == 9999u", LINEAR),
  plant("scan_states", "states[here] = sum;", "states[here] = added;", LINEAR),
  plant("scan_states", "state[homes.x]", "state[homes.y]", LINEAR),
  plant("scan_states", "state[homes.y] = sum", "state[homes.x] = sum", LINEAR),
  plant("sort_experts", "min(TILE_ROWS, count - done)", "TILE_ROWS", /^experts bf16 90/),
  plant("sort_experts", "sums.x + done", "sums.x", /^experts f32 75/),
  plant("sort_experts", "+ sums.x + found", "+ sums.x", /^experts bf16 90/),
  plant("sort_experts", "if (i >= LANES) { id = ids[i]; }", "", /^experts bf16 90/),
  plant("decode_product", "weight[at.w]", "weight[at.z]", /^projectAdd bf16/),
  plant("decode_product", "input(sources.w, i", "input(sources.z, i", /^head .* of 4, 64 of 5000/),
  plant("decode_product", "value += bias[n + j]", "value -= bias[n + j]", /^project f32 .* bias/),
  plant("decode_product", "if (ADD)", "if (!ADD)", /^projectAdd bf16/),
  plant("decode_product", "/ BLOCK_ROWS;", ";", /^project f8_e4m3/),
  plant("decode_product", "4u * i / BLOCK_COLUMNS", "i / BLOCK_COLUMNS", /^project f8_e4m3/),
  plant("decode_product", "magnitude < vec4u(8u)", "magnitude < vec4u(0u)", /^project f8_e4m3/),
  plant("decode_product", "packed.y << 16u", "packed.y", /^project bf16/),
  plant("decode_product", "unpack2x16float(packed.y)", "unpack2x16float(packed.x)", /^project f16/),
  plant("decode_product", "return packed", "return packed.xyzz", /^project f32/),
  plant("decode_product", ">> vec4u(24u)", ">> vec4u(23u)", /^project q8/),
  plant("embed", "select(scales.x, scales.y", "select(scales.y, scales.x", /^embed q8/),
  plant("decode_product", "(blocks & vec4u(1u))", "(blocks & vec4u(0u))", /^projectAdd q8/),
  plant("decode_product", "codes_of(held.a, j)", "codes_of(held.a, 0u)", /^projectAdd q8/),
  plant("decode_product", "block / 2u", "block", /^project q8/),
  plant("decode_product", "16u * (i & 1u)", "0u", /^project q4/),
  plant("embed", "+ pair.y", "- pair.y", /^embed q4/),
  plant("decode_product", "total * each[1]", "each[1]", /^projectAdd q4/),
  plant("embed", "return i / 2u", "return i", /^embed q4/),
  plant("decode_down", "shared_factors[shared_factor_at(block.y)]", "shared_factors[0u]", /^experts q4 1 rows, 3 of 5/),
  plant("decode_gate_up", "<< vec4u(24u, 16u, 8u, 0u)", "<< vec4u(24u, 16u, 8u, 8u)", /^experts q4 [13] rows.* of 5/),
  plant("decode_down", " factors[factor_at(block.w)]", " factors[factor_at(0u)]", /^experts q4 1/),
  plant("decode_product", "step_outputs(), OUTPUTS", "step_outputs(), true", /^project f32 .3, 32/),
  plant("decode_product", "+ params.epsilon", "", /^project behind/),
  plant("decode_product", "return step_output(row)", "return row", /^head .* rows 0,2 of 3/),
  plant("rms_norm", "hidden[source + i] * scale", "hidden[source + i]", /^gateUp bf16/),
  plant("route", "place < GROUPS_KEPT", "place <= GROUPS_KEPT", /^route 70/),
  plant("route", "if (place < GROUPS_KEPT) {", "{", /^route (3|70) /),
  plant("route", "other.index < own.index", "other.index > own.index", /^route 17/),
  plant("route", "max(min(a.x, b.x), max(a.y, b.y))", "max(a.y, b.y)", /^route 70/),
  plant("route", "best_at(i + 3u, end)", "best_at(i + 2u, end)", /^route 70/),
  plant("route", "sum == other_sum && group < other", "sum == other_sum && group > other", /^route .*groups of one/),
  plant("route", "kept_first(k + 1u, own)", "kept_first(k, own)", /^route 70/),
  plant("route", "Entry(key.z, e + 2u)", "Entry(key.y, e + 1u)", /^route 70/),
  plant("route", "experts_first(f + 3u, own)", "experts_first(f + 2u, own)", /^route 70/),
  plant("route", "scores[unit][j % UNIT];", "bitcast<f32>(own.key);", /^route 9/),
  plant("route", "exp(-x)", "exp(x)", /^route 1 /),
  plant("route", "e] - largest) / total", "e] - largest)", /^route 5/),
];

const IN_ONE_VARIANT: Readonly<Record<string, readonly Planted[]>> = {
  "for CPUs": IN_SOFTWARE,
  "with subgroups": [
    plant("decode_product", "subgroupAdd(values[0])", "values[0]", /^project bf16/),
    plant("block_candidates", "subgroupMax(value)", "value", /^head .* large logits/),
    plant("softmax_attention", "subgroupMax(value)", "value", /^softmaxAttention .* loud/),
  ],
  "without subgroups": [
    plant("softmax_attention", "return page - params.first;", "return page;", BLOCKS),
    plant("gate_up", "silu(gate_sums[j]) * up_sums[j]", "gate_sums[j] * silu(up_sums[j])", /^gateUp bf16/),
    plant("gate_up", "up3 += x[source.w + i]", "up3 += x[source.z + i]", /^gateUp bf16/),
    plant("gate_up", "up_factors[factor_at(block)]", "gate_factors[factor_at(block)]", /^gateUp q4/),
    plant("linear_attention", "segment.start == 0u", "segment.start == 9999u", LINEAR),
    plant("linear_attention", "if (b <= a)", "if (b < a)", LINEAR),
    plant("linear_attention", "state[bases.x", "state[bases.y", LINEAR),
    plant("linear_attention", "+ a - b]", "+ a]", LINEAR),
    plant("linear_attention", "+ a + 1u]", "+ a]", LINEAR),
    plant("linear_attention", "decay[powers + n]", "decay[powers + CHUNK]", LINEAR),
    plant("linear_attention", "powers + n - 1u - b", "powers + n - b", LINEAR),
    plant(
      "softmax_attention",
      "max(lane_values[lane.index], lane_values[lane.index + half])",
      "lane_values[lane.index]",
      /^softmaxAttention .* loud/,
    ),
    plant("decode_product", "TEAM / 2u; half > 0u", "TEAM / 2u; half > 1u", /^project bf16/),
    plant(
      "block_candidates",
      "max(lane_values[lane.index], lane_values[lane.index + half])",
      "lane_values[lane.index]",
      /^head .* large logits/,
    ),
  ],
};

/** Whether some case fails on a device that compiles the kernel with its error. */
async function isSeen(device: GPUDevice, { kernel, right, wrong, cases }: Planted): Promise<boolean> {
  const compile = GPUDevice.prototype.createShaderModule.bind(device);
  device.createShaderModule = (shader) => {
    if (shader.label !== kernel) return compile(shader);
    // No assertion: that would pass for a case that fails.
    if (!shader.code.includes(right)) throw new Error(`"${right}" is not in the text of ${kernel}`);
    return compile({ ...shader, code: shader.code.replaceAll(right, wrong) });
  };
  const backend = await WebGpuBackend.open({ gpu: "deno", device });
  const chosen = CASES.filter(({ name }) => cases.test(name));
  assert.ok(chosen.length > 0, `no case matches ${cases}`);
  for (const opCase of chosen) {
    try {
      await checkCase(backend, opCase);
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error;
      return true;
    }
  }
  return false;
}

for (const { name, features, missing } of VARIANTS) {
  testOnGpu(`an error planted in any kernel ${name} fails a case`, async () => {
    const device = await deviceOf(features);
    const planted = [...IN_ONE_VARIANT[name]!, ...(name === "with subgroups" ? IN_EVERY_VARIANT : [])];
    const unseen: string[] = [];
    for (const error of planted) {
      if (!await isSeen(device, error)) unseen.push(`${error.kernel}: "${error.right}" → "${error.wrong}"`);
    }
    device.destroy();
    assert.deepEqual(unseen, []);
  }, missing);
}

Deno.test("errors are planted in every kernel but the counter, which proves itself", () => {
  const planted = new Set([IN_EVERY_VARIANT, ...Object.values(IN_ONE_VARIANT)].flat().map(({ kernel }) => kernel));
  const kernels = Object.values(SHADERS).map(({ name }) => name).filter((name) => name !== "counter");
  assert.deepEqual(kernels.filter((name) => !planted.has(name)), []);
});
