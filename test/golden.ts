/** The golden continuations of ring-nano, whatever computes. */
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import type { openEngine } from "../src/mod.ts";

export const MODEL = fileURLToPath(new URL("../models/ring-nano", import.meta.url));

interface Golden {
  readonly prompts: readonly { readonly prompt_ids: readonly number[]; readonly greedy_ids: readonly number[] }[];
}

/** What the engine gives greedily is what the golden file has, for so many prompts and of each so many tokens. */
export async function checkGolden(
  engine: Awaited<ReturnType<typeof openEngine>>,
  count = Infinity,
  tokens = Infinity,
): Promise<void> {
  const golden = JSON.parse(await Deno.readTextFile(`${MODEL}-golden.json`)) as Golden;
  for (const { prompt_ids, greedy_ids } of golden.prompts.slice(0, count)) {
    const expected = greedy_ids.slice(0, tokens);
    const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0 };
    const generated = engine.generate({
      ...{ prompt: Uint32Array.from(prompt_ids), maxTokens: expected.length, stopTokens: [], logprobs: null },
      ...{ sampling: { ...sampling, frequencyPenalty: 0, logitBias: [], seed: 0 }, thinking: null },
    });
    assert.deepEqual(await Array.fromAsync(generated, ({ id }) => id), expected);
  }
}
