import assert from "node:assert/strict";
import { content, finish } from "./scripted_model.ts";
import { events, refused, serve } from "./serve.ts";

Deno.test("POST /v1/completions answers whole and streamed", async () => {
  const { post, model } = serve([content("a"), content("b"), finish]);
  const reply = await (await post("/v1/completions", { prompt: "x", stop: "\n" })).json();
  assert.equal(reply.object, "text_completion");
  assert.deepEqual(reply.choices, [{ index: 0, text: "ab", logprobs: null, finish_reason: "stop" }]);
  assert.deepEqual(model.requests, [{ prompt: "x", sampling: {}, maxTokens: 16, stop: ["\n"] }]);
  const all = await events(
    await post("/v1/completions", { prompt: "x", stream: true, stream_options: { include_usage: true } }),
  );
  assert.deepEqual(all.slice(0, 3).map((chunk) => chunk.choices[0].text), ["a", "b", ""]);
  assert.equal(all[3].usage.completion_tokens, 3);
  assert.equal(all[4], "[DONE]");
});

Deno.test("strings, ids and lists of both are prompts, with n choices each whose seeds count up", async () => {
  const { post, model } = serve((prompt) => [content(`<${prompt}>`), finish]);
  const asked = async (prompt: unknown, more = {}) => {
    model.requests.length = 0;
    const reply = await (await post("/v1/completions", { prompt, ...more })).json();
    return {
      texts: reply.choices.map(({ text }: { text: string }) => text),
      indices: reply.choices.map(({ index }: { index: number }) => index),
      usage: reply.usage,
      seeds: model.requests.map(({ sampling }) => sampling?.seed),
    };
  };
  assert.deepEqual((await asked("a")).texts, ["<a>"]);
  assert.deepEqual((await asked([1, 2])).texts, ["<1,2>"]);
  assert.deepEqual((await asked([[1, 2], [3]])).texts, ["<1,2>", "<3>"]);
  const { texts, indices, usage, seeds } = await asked(["a", "b"], { n: 3, seed: 5, best_of: 3 });
  assert.deepEqual(texts, ["<a>", "<a>", "<a>", "<b>", "<b>", "<b>"]);
  assert.deepEqual(indices, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(seeds, [5, 6, 7, 5, 6, 7]);
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [2 * 7, 6 * 3]);
  assert.deepEqual((await asked("a", { n: 2, seed: 2 ** 53 - 1 })).seeds, [2 ** 53 - 1, 2 ** 53 - 2]);
});

Deno.test("log-probabilities are lists side by side, with offsets in characters", async () => {
  const token = (token: string, bytes: number[], logprob: number, offset: number) => ({
    token,
    bytes,
    logprob,
    offset,
  });
  const other = { token: "z", bytes: [122], logprob: -Infinity };
  const first = { ...token("😀", [240, 159, 152, 128], NaN, 0), top: [] };
  const second = { ...token("\ufffd", [0xc3], -1, 2), top: [other] };
  const third = { ...token("\ufffd", [0xa9], -2, 2), top: [{ token: "\ufffd", bytes: [0xa8], logprob: -0.5 }] };
  const last = { ...token("b", [98], -3, 3), top: [] };
  const { post, model } = serve([
    { type: "content", text: "😀", logprobs: [first] },
    { type: "content", text: "éb", logprobs: [second, third, last] },
    finish,
  ]);
  const expected = {
    tokens: ["😀", "bytes:\\xc3", "bytes:\\xa9", "b"],
    token_logprobs: [null, -1, -2, -3],
    top_logprobs: [null, { "bytes:\\xc3": -1, z: -9999 }, { "bytes:\\xa9": -2, "bytes:\\xa8": -0.5 }, { b: -3 }],
    text_offset: [0, 1, 1, 2],
  };
  const body = { prompt: [9], echo: true, logprobs: 1, max_tokens: 0 };
  const { choices: [choice] } = await (await post("/v1/completions", body)).json();
  assert.equal(choice.text, "😀éb");
  assert.deepEqual(choice.logprobs, expected);
  assert.deepEqual(model.requests, [{ prompt: [9], sampling: {}, maxTokens: 0, logprobs: 1, echo: true }]);
  const all = (await events(await post("/v1/completions", { ...body, stream: true }))).slice(0, -1);
  const lists = all.map(({ choices: [choice] }) => choice.logprobs).filter((logprobs) => logprobs !== null);
  assert.equal(lists.length, 2);
  for (const key of Object.keys(expected) as (keyof typeof expected)[]) {
    assert.deepEqual(lists.flatMap((logprobs) => logprobs[key]), expected[key]);
  }
});

Deno.test("what a completion cannot do is refused by name", async () => {
  const { post, model } = serve();
  const cases: [param: string, message: RegExp, body: object][] = [
    ["prompt", /Missing required field prompt/, {}],
    ["prompt", /a string, an array of strings, an array of token ids/, { prompt: { text: "x" } }],
    ["prompt", /a string, an array/, { prompt: [] }],
    ["prompt[1]", /./, { prompt: ["a", 1] }],
    ["prompt[0]", /./, { prompt: [-1] }],
    ["best_of", /2: only n is supported/, { prompt: "x", best_of: 2 }],
    ["suffix", /only continued/, { prompt: "x", suffix: "y" }],
    ["logprobs", /21: too big/, { prompt: "x", logprobs: 21 }],
    ["use_beam_search", /not supported/, { prompt: "x", use_beam_search: true }],
  ];
  for (const [param, message, body] of cases) {
    const error = await refused(await post("/v1/completions", body), 400);
    assert.equal(error.param, param, error.message);
    assert.match(error.message, message);
  }
  assert.equal(model.requests.length, 0);
});
