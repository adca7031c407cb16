/** Log-probabilities: each token's once, with the delta that shows it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Chat } from "../../src/chat/chat.ts";
import type { ChatRequest, Delta } from "../../src/chat/messages.ts";
import { template, tokenizer } from "./ring_nano.ts";
import { chatWith, collect, ids, ROLE_END, ScriptedEngine, weather, withLogprobs } from "./scripted_engine.ts";

const FRAGMENTS = ["</think>", "<tool_call>", "</tool_call>", "\n", '\n{"name": "f", "arguments": {', "}}", "<role>"];
const anyTokens = fc.array(
  fc.oneof(
    fc.constantFrom(...FRAGMENTS),
    fc.string({ unit: "grapheme", maxLength: 6 }),
    fc.constantFrom("🙂", "ST", "OP"),
  ),
  { maxLength: 12 },
).map((texts) => texts.flatMap(ids));

async function deltasOf(tokens: readonly number[], request: Partial<ChatRequest>, raw = false): Promise<Delta[]> {
  const engine = new ScriptedEngine([...withLogprobs(tokens), { id: ROLE_END, logprob: -1 }]);
  const chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens: [ROLE_END] });
  return await collect(raw ? chat.complete({ prompt: "x", ...request }) : chat.stream({ ...weather, ...request }));
}

Deno.test("stream() reports the log-probability of every token once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(anyTokens, fc.boolean(), async (tokens, thinking) => {
      const deltas = await deltasOf(tokens, { thinking, logprobs: 1 });
      const reported = deltas.flatMap((delta) => delta.type === "finish" ? [] : delta.logprobs ?? []);
      assert.deepEqual(reported.map(({ logprob }) => -logprob), tokens.map((_, i) => i));
      assert.deepEqual(reported.map(({ bytes }) => bytes), tokens.map((id) => [...tokenizer.tokenBytes(id)]));
    }),
    { numRuns: 500 },
  );
});

Deno.test("complete() reports a token with the delta that has its first character, up to the stop text", async () => {
  const words = fc.array(fc.constantFrom("S", "ST", "O", "STO", "P", "🙂", "é", " a", "\n"), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(words, async (texts) => {
      const tokens = texts.flatMap(ids);
      // Where the character begins that holds the token's first byte, which an earlier token may have begun.
      const starts = tokens.map((_, i) => tokenizer.decode(tokens.slice(0, i)).replace(/\ufffd+$/, "").length);
      const deltas = await deltasOf(tokens, { logprobs: 0, stop: ["STOP", "OST"] }, true);
      let at = 0;
      for (const delta of deltas) {
        if (delta.type !== "content") continue;
        const end = at + delta.text.length;
        const expected = starts.flatMap((start, i) => start >= at && start < end ? [i] : []);
        assert.deepEqual((delta.logprobs ?? []).map(({ logprob }) => -logprob), expected);
        at = end;
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("stream() spells tokens and alternatives by text and bytes", async () => {
  const tokens = ids("</think>\n\nGröße");
  const deltas = await deltasOf(tokens, { logprobs: 2 });
  const [thought] = deltas.flatMap((delta) => delta.type === "content" ? delta.logprobs ?? [] : []);
  const spelling = { token: "</think>", bytes: [...new TextEncoder().encode("</think>")] };
  assert.deepEqual(thought, {
    ...spelling,
    logprob: -0,
    offset: 0,
    top: [
      { ...spelling, logprob: -0 },
      { token: "<|role_end|>", bytes: [...new TextEncoder().encode("<|role_end|>")], logprob: -1 },
    ],
  });
});

Deno.test("score() hands tokens to the engine and its rows back", async () => {
  const { chat } = chatWith([]);
  const rows = await Array.fromAsync(chat.score(Uint32Array.of(5, 6, 7), { logits: true }));
  assert.deepEqual(rows, [{ first: 0, logprobs: Float64Array.of(NaN, -1, -2), logits: new Float32Array(3) }]);
});
