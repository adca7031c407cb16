/** Requests by chance, sent to an engine at any moment, each of which must get what it gets alone. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { GREEDY, LocalEngine, request } from "./local_engine.ts";
import { text } from "./text.ts";

export const anyTask = fc.record({
  kind: fc.constantFrom("generate", "generate", "draw", "score", "think", "abort"),
  prompt: fc.nat(3),
  length: fc.integer({ min: 1, max: 60 }),
  maxTokens: fc.integer({ min: 1, max: 30 }),
  /** Of the event loop, until the next one comes. */
  turns: fc.nat(6),
});
type Task = typeof anyTask extends fc.Arbitrary<infer T> ? T : never;

const CLOSE = [11, 12, 13]; // forced at once, and read in one chunk

/** So hot that candidates hardly suffice where it draws, and whole rows are asked for. */
function submit({ engine }: LocalEngine, id: number, { kind, prompt, length, maxTokens }: Task): void {
  const tokens = text(prompt, length);
  if (kind === "score") {
    return engine.score(id, { tokens: Uint32Array.from(tokens), logits: false, chunks: [3, 1, 5] });
  }
  const thinking = { budget: 2, end: Uint32Array.of(49, 49), close: Uint32Array.from(CLOSE) };
  const sampling = { ...GREEDY, temperature: 50, seed: id };
  engine.generate(
    id,
    request(tokens, { maxTokens, ...(kind === "think" && { thinking }), ...(kind === "draw" && { sampling }) }),
  );
}

/** Sends them all, an "abort" aborting the one before it, and waits; returns how many tokens of prompts were cached. */
export async function assertAsAlone(
  local: LocalEngine,
  tasks: readonly Task[],
  options: Parameters<typeof LocalEngine.open>[0],
): Promise<number> {
  for (const [id, one] of tasks.entries()) {
    submit(local, id, one);
    for (let turn = 0; turn < one.turns; turn++) await setImmediate();
    if (one.kind === "abort") local.engine.abort(id - 1);
  }
  await using alone = await LocalEngine.open({ ...options, slots: 1, stages: 1 });
  let cached = 0;
  for (const [id, one] of tasks.entries()) {
    submit(alone, id, one);
    const [outcome, expected] = [await local.end(id), await alone.end(id)];
    assert.equal(outcome.reason, null);
    cached += outcome.stats!.cachedTokens;
    if (outcome.finish === "abort") continue;
    assert.deepEqual(outcome.tokens, expected.tokens);
    const scores = [outcome, expected].map(({ rows }) => rows.flatMap(({ logprobs }) => [...logprobs]));
    assert.deepEqual(scores[0], scores[1]);
  }
  return cached;
}
