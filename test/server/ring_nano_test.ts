import assert from "node:assert/strict";
import OpenAI from "openai";
import { Chat, load } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";

const sum = [{ role: "user" as const, content: "Add 4867 and 2759" }];
/** Both tokens that end an answer, made impossible. */
const endless = { "4086": -100, "4089": -100 };

/** OpenAI's own client, talking over a socket to a server with the embedded model, which has one slot. */
async function connect(test: (client: OpenAI, chat: Chat) => Promise<void>): Promise<void> {
  await using chat = await load({ backend: "wasm" });
  const app = createApp({ name: "ring-nano", model: () => chat });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const baseURL = `http://127.0.0.1:${server.addr.port}/v1`;
  try {
    await test(new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 }), chat);
  } finally {
    await server.shutdown();
  }
}

Deno.test("the openai client talks with the embedded model", async (t) => {
  await connect(async (client) => {
    const { completions } = client.chat;
    const model = "ring-nano";

    await t.step("streamed and whole answers are the same, and right", async () => {
      const stream = completions.stream({ model, messages: sum, stream_options: { include_usage: true } });
      const streamed = await stream.finalChatCompletion();
      const whole = await completions.create({ model, messages: sum });
      assert.equal(whole.choices[0]?.message.content, "4867 + 2759 = 7626");
      assert.equal(streamed.choices[0]?.message.content, whole.choices[0]?.message.content);
      assert.deepEqual(streamed.usage, whole.usage);
      assert.ok((whole.usage?.completion_tokens_details?.reasoning_tokens ?? 0) > 50);
    });

    await t.step("closing a stream frees the only slot at once", async () => {
      const body = { model, messages: sum, stream: true as const, logit_bias: endless, max_tokens: 7000 };
      for await (const _ of await completions.create(body)) break;
      const started = performance.now();
      const next = await completions.create({ model, messages: sum, max_tokens: 1 });
      assert.ok(performance.now() - started < 5000, "the next request waits for an answer that nobody reads");
      assert.equal(next.usage?.completion_tokens, 1);
    });

    await t.step("a seed repeats a sampled answer", async () => {
      const body = { model, messages: [{ role: "user" as const, content: "Tell me a story." }], max_tokens: 30 };
      const answer = async (seed: number) => {
        const { choices: [choice] } = await completions.create({ ...body, temperature: 2, seed });
        return JSON.stringify(choice?.message);
      };
      const [first, again, other] = [await answer(1), await answer(1), await answer(2)];
      assert.equal(first, again);
      assert.notEqual(first, other);
    });

    await t.step("a tool is called with arguments that are JSON", async () => {
      const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
      const { choices: [choice] } = await completions.create({
        model,
        messages: [{ role: "user", content: "What is the weather in Lisbon?" }],
        tools: [{ type: "function", function: { name: "get_weather", description: "Get the weather.", parameters } }],
      });
      assert.equal(choice?.finish_reason, "tool_calls");
      const call = choice?.message.tool_calls?.[0];
      assert.ok(call?.type === "function");
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "Lisbon" });
    });

    await t.step("log-probabilities are those of the chosen tokens", async () => {
      const { choices: [choice] } = await completions.create({
        model,
        messages: sum,
        logprobs: true,
        top_logprobs: 3,
        max_tokens: 4,
      });
      const tokens = choice?.logprobs?.content ?? [];
      assert.equal(tokens.length, 4);
      for (const { token, logprob, top_logprobs } of tokens) {
        assert.equal(top_logprobs.length, 3);
        assert.deepEqual([top_logprobs[0]?.token, top_logprobs[0]?.logprob], [token, logprob]);
      }
    });

    await t.step("a prompt longer than the context is refused by name", async () => {
      const content = "many words ".repeat(20_000);
      await assert.rejects(
        completions.create({ model, messages: [{ role: "user", content }] }),
        (error) => error instanceof OpenAI.BadRequestError && error.param === "messages",
      );
    });
  });
});
