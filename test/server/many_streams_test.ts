/** Many streams at once of OpenAI's own client: each has the answer that it has alone, and none waits for a long prompt's end. */
import { strict as assert } from "node:assert";
import OpenAI from "openai";
import { load } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";

const STREAMS = 64;
const QUESTIONS = [
  "Who are you?",
  "Add 48 and 27",
  "Tell me a story.",
  "Sort 9, 4, 7, 1",
  "What is the capital of France?",
];

const words = (count: number) =>
  Array.from({ length: count }, (_, i) => ["one", "red", "add", "list"][i * i % 4]).join(" ");

/** The sampled answer to a question of its own, and the log-probability of each of its tokens. */
async function streamed(client: OpenAI, i: number): Promise<string> {
  const stream = await client.chat.completions.create({
    model: "auto",
    messages: [{ role: "user", content: `${QUESTIONS[i % QUESTIONS.length]}${" ".repeat(i % 3)}` }],
    ...{ stream: true, temperature: 1, seed: i, max_tokens: 12 + i % 9, logprobs: true },
  });
  const parts: unknown[] = [];
  for await (const { choices: [choice] } of stream) {
    if (choice) parts.push(...(choice.logprobs?.content ?? []).map(({ token, logprob }) => [token, logprob]));
  }
  return JSON.stringify(parts);
}

Deno.test("64 streams have the bits that each has alone, while a long prompt is read", async () => {
  await using chat = await load({
    backend: "wasm",
    maxSequences: 16,
    deterministic: true,
    prefixCache: 2 ** 24,
  });
  const app = createApp({ name: "ring-nano", model: () => chat });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  try {
    const client = new OpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${server.addr.port}/v1`, maxRetries: 0 });
    const long = client.chat.completions.create({
      model: "auto",
      messages: [{ role: "user", content: words(2000) }],
      max_tokens: 1,
    });
    const together = await Promise.all(Array.from({ length: STREAMS }, (_, i) => streamed(client, i)));
    assert.ok(((await long).usage?.prompt_tokens ?? 0) > 2000);
    for (const i of together.keys()) assert.equal(await streamed(client, i), together[i], `stream ${i}`);
    assert.ok(new Set(together).size > STREAMS / 2);
  } finally {
    await server.shutdown();
  }
});
