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
