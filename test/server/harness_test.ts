/** Completions with echo, as evaluation harnesses ask for them, with the embedded model. */
import assert from "node:assert/strict";
import { load } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: string;
  readonly logprobs: {
    readonly tokens: string[];
    readonly token_logprobs: (number | null)[];
    readonly top_logprobs: (Record<string, number> | null)[];
    readonly text_offset: number[];
  };
}

Deno.test("completions with echo tell how likely given continuations are", async (t) => {
  await using chat = await load({ backend: "wasm", maxSequences: 2 });
  const tokenizer = chat.tokenizer!;
  const app = createApp({ name: "nano", model: () => chat });
  const complete = async (body: object): Promise<Choice[]> => {
    const headers = { "content-type": "application/json" };
    const response = await app.request("/v1/completions", { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()).choices;
  };
  const scored = async (tokens: Uint32Array) =>
    (await Array.fromAsync(chat.score(tokens))).flatMap(({ logprobs }) => [...logprobs]);

  await t.step(
    "the log-likelihood of a continuation, and whether it is the greedy one, in a batch of token lists",
    async () => {
      const [context, ending] = ["The city of Lisbon lies in", " Portugal. Größe 😀"];
      const requests = ["", ending].map((text) => [...tokenizer.encode(context), ...tokenizer.encode(text)]);
      // max_tokens, logprobs, temperature, echo and seed as lm-evaluation-harness sends them.
      const choices = await complete({
        prompt: requests,
        max_tokens: 1,
        logprobs: 1,
        temperature: 0,
        echo: true,
        seed: 1234,
      });
      assert.deepEqual(choices.map(({ index }) => index), [0, 1]);
      for (const [i, { text, logprobs }] of choices.entries()) {
        const tokens = requests[i]!;
        const expected = await scored(Uint32Array.from(tokens));
        assert.equal(logprobs.tokens.length, tokens.length + 1);
        assert.deepEqual(logprobs.token_logprobs.slice(0, -1), [null, ...expected.slice(1)]);
        assert.ok(text.startsWith(tokenizer.decode(tokens)));
        for (const [at, top] of logprobs.top_logprobs.slice(1).entries()) {
          const own = logprobs.token_logprobs[at + 1]!;
          assert.equal(top![logprobs.tokens[at + 1]!], own);
          assert.ok(Object.keys(top!).length <= 2 && Math.max(...Object.values(top!)) >= own);
        }
      }
    },
  );

  await t.step("what is generated greedily is greedy when it is scored", async () => {
    const prompt = "Once upon a time";
    const [made] = await complete({ prompt, max_tokens: 12, temperature: 0, logprobs: 1 });
    const generated = made!.logprobs;
    const ids = [...tokenizer.encode(prompt)];
    const [echoed] = await complete({ prompt, max_tokens: 12, temperature: 0, logprobs: 1, echo: true });
    assert.equal(echoed!.text, prompt + made!.text);
    assert.deepEqual(echoed!.logprobs.token_logprobs.slice(ids.length), generated.token_logprobs);
    const offsets = generated.text_offset.map((offset) => offset + prompt.length);
    assert.deepEqual(echoed!.logprobs.text_offset.slice(ids.length), offsets);
    const [scoredAgain] = await complete({ prompt: echoed!.text, max_tokens: 0, logprobs: 1, echo: true });
    assert.equal(scoredAgain!.text, echoed!.text);
    assert.deepEqual(scoredAgain!.logprobs.tokens, echoed!.logprobs.tokens);
    for (const [i, logprob] of scoredAgain!.logprobs.token_logprobs.slice(ids.length).entries()) {
      assert.ok(Math.abs(logprob! - generated.token_logprobs[i]!) < 1e-4);
      assert.equal(logprob, Math.max(...Object.values(scoredAgain!.logprobs.top_logprobs[ids.length + i]!)));
    }
  });

  await t.step("offsets are where the tokens' texts begin", async () => {
    const prompt = "Größe: 😀 — naïve";
    const [{ logprobs, text, finish_reason }] = await complete({ prompt, max_tokens: 0, logprobs: 0, echo: true }) as [
      Choice,
    ];
    assert.deepEqual([text, finish_reason], [prompt, "length"]);
    const characters = [...prompt];
    for (const [i, token] of logprobs.tokens.entries()) {
      if (token.startsWith("bytes:")) continue;
      assert.equal(characters.slice(logprobs.text_offset[i]).join("").startsWith(token), true, `${i}: ${token}`);
    }
  });

  await t.step("a prompt that does not fit and ids that are none are refused by name", async () => {
    const refuse = async (body: object) => {
      const headers = { "content-type": "application/json" };
      const response = await app.request("/v1/completions", { method: "POST", headers, body: JSON.stringify(body) });
      assert.equal(response.status, 400);
      return (await response.json()).error.param;
    };
    assert.equal(await refuse({ prompt: [5, chat.info.vocabulary], max_tokens: 1 }), "prompt");
    assert.equal(await refuse({ prompt: Array(chat.info.context + 1).fill(5), max_tokens: 0, echo: true }), "prompt");
    assert.equal(await refuse({ prompt: "x", max_tokens: 0 }), "max_tokens");
  });
});
