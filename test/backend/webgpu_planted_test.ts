/** Proves that the table of cases sees every kernel: an error planted in its text fails a case. */
import { strict as assert } from "node:assert";
import { SHADERS } from "../../shaders/mod.ts";
import { IN_ATTENTION } from "./attention_planted.ts";
import { CASES } from "./cases.ts";
import { IN_EXPERT } from "./expert_planted.ts";
import { IN_HEAD } from "./head_planted.ts";
import { IN_MATRIX, IN_MATRIX_ATTENTION } from "./matrix_planted.ts";
import { isSeen, plant, type Planted } from "./planted.ts";
import { IN_PRODUCT } from "./product_planted.ts";
import { SharedDevice } from "./shared_device.ts";
import { IN_SOFTWARE } from "./software_planted.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { deviceOf, VARIANTS } from "./webgpu_device.ts";

const LINEAR = /^linearAttention (6|16) heads of 8/;
const BLOCKS = /^softmaxAttention 2 heads of 8 .* 3 \+ 1 \+ 6/;

/** What is wrong with one variant only is planted in that variant. */
const IN_EVERY_VARIANT: readonly Planted[] = [...IN_ATTENTION, ...IN_PRODUCT, ...IN_EXPERT, ...IN_HEAD];

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

for (const { name, features, missing } of VARIANTS) {
  testOnGpu(`an error planted in any kernel ${name} fails a case`, async () => {
    using shared = new SharedDevice(await deviceOf(features));
    const planted = [...IN_ONE_VARIANT[name]!, ...(name === "with subgroups" ? IN_EVERY_VARIANT : [])];
    const unseen: string[] = [];
    for (const error of planted) {
      if (!await isSeen(shared, error, { gpu: GPU, cases: CASES })) {
        unseen.push(`${error.kernel}: "${error.right}" → "${error.wrong}"`);
      }
    }
    assert.deepEqual(unseen, []);
  }, missing);
}

Deno.test("errors are planted in every kernel but the counter, which proves itself", () => {
  const planted = new Set(
    [IN_EVERY_VARIANT, IN_MATRIX, IN_MATRIX_ATTENTION, ...Object.values(IN_ONE_VARIANT)].flat().map(({ kernel }) =>
      kernel
    ),
  );
  const kernels = Object.values(SHADERS).map(({ name }) => name).filter((name) => name !== "counter");
  assert.deepEqual(kernels.filter((name) => !planted.has(name)), []);
});
