import assert from "node:assert/strict";
import OpenAI from "openai";
import { createApp } from "../../src/server/app.ts";
import { content, finish, forever, type Script, ScriptedModel } from "./scripted_model.ts";

const messages = [{ role: "user" as const, content: "Hi" }];

/** OpenAI's own client, talking to a server with a scripted model over a real socket. */
async function connect(
  script: Script,
  test: (client: OpenAI, model: ScriptedModel) => Promise<void>,
  options: { apiKey?: string; warm?: boolean } = {},
) {
  const { apiKey = "secret", warm = true } = options;
  const model = new ScriptedModel(script);
  const app = createApp({ name: "nano", model: () => warm ? model : null, apiKeys: ["secret"] });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const client = new OpenAI({ apiKey, baseURL: `http://127.0.0.1:${server.addr.port}/v1`, maxRetries: 0 });
  try {
    await test(client, model);
  } finally {
    await server.shutdown();
  }
}

Deno.test("the openai client streams a chat with reasoning and usage", async () => {
  const script: Script = [{ type: "reasoning", text: "hm" }, content("Hel"), content("lo"), finish];
  await connect(script, async (client) => {
    const stream = await client.chat.completions.create({
      model: "nano",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "", thought = "", tokens = 0;
    for await (const { choices: [choice], usage } of stream) {
      text += choice?.delta.content ?? "";
      thought += (choice?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? "";
      tokens += usage?.total_tokens ?? 0;
    }
    assert.deepEqual([text, thought, tokens], ["Hello", "hm", 10]);
  });
});

Deno.test("the openai client accumulates a streamed tool call", async () => {
  const script: Script = [
    { type: "tool_call", index: 0, id: "call_1", name: "add", arguments: "" },
    { type: "tool_call", index: 0, arguments: '{"a":' },
    { type: "tool_call", index: 0, arguments: "1}" },
    { ...finish, reason: "tool_calls" } as typeof finish,
  ];
  await connect(script, async (client) => {
    const stream = client.chat.completions.stream({ model: "nano", messages });
    const { choices: [choice] } = await stream.finalChatCompletion();
    assert.equal(choice?.finish_reason, "tool_calls");
    const call = choice?.message.tool_calls?.[0];
    assert.ok(call?.type === "function");
    assert.deepEqual([call.id, call.function.name, call.function.arguments], ["call_1", "add", '{"a":1}']);
  });
});

Deno.test("the openai client gets whole answers, completions and models", async () => {
  await connect([content("Hello"), finish], async (client) => {
    const reply = await client.chat.completions.create({ model: "nano", messages });
    assert.equal(reply.choices[0]?.message.content, "Hello");
    assert.equal(reply.usage?.completion_tokens, 3);
    const completion = await client.completions.create({ model: "nano", prompt: "x" });
    assert.equal(completion.choices[0]?.text, "Hello");
    assert.deepEqual((await client.models.list()).data.map((model) => model.id), ["nano"]);
    assert.equal((await client.models.retrieve("nano")).owned_by, "ringlet");
  });
});

Deno.test("the openai client throws its typed errors", async () => {
  await connect([() => Promise.reject(new Error("broken"))], async (client) => {
    const { completions } = client.chat;
    await assert.rejects(
      completions.create({ model: "nano", messages, temperature: 9 }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature",
    );
    await assert.rejects(
      completions.create({ model: "gpt", messages }),
      (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
    );
    await assert.rejects(completions.create({ model: "nano", messages }), OpenAI.InternalServerError);
  });
  await connect([], async (client) => {
    await assert.rejects(
      client.models.list(),
      (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key",
    );
  }, { apiKey: "wrong" });
  await connect([], async (client) => {
    await assert.rejects(client.chat.completions.create({ model: "nano", messages }), { status: 503 });
  }, { warm: false });
});

Deno.test("the openai client hears of a failure in the middle of a stream", async () => {
  await connect([content("a"), () => Promise.reject(new Error("broken"))], async (client) => {
    const stream = await client.chat.completions.create({ model: "nano", messages, stream: true });
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, OpenAI.APIError);
  });
});

Deno.test("closing the openai client's stream ends a generation that waits for its next token", async () => {
  await connect([content("a"), forever], async (client, model) => {
    const stream = await client.chat.completions.create({ model: "nano", messages, stream: true });
    for await (const { choices: [choice] } of stream) if (choice?.delta.content === "a") break;
    await ended(model);
  });
});

Deno.test("aborting the openai client's unstreamed request ends its generation", async () => {
  await connect([content("a"), forever], async (client, model) => {
    const leave = new AbortController();
    const waiting = client.chat.completions.create({ model: "nano", messages }, { signal: leave.signal });
    const rejected = assert.rejects(waiting, OpenAI.APIUserAbortError);
    while (model.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    leave.abort();
    await rejected;
    await ended(model);
  });
});

/** Resolves once no generation runs any more, and fails if that takes a second. */
async function ended(model: ScriptedModel): Promise<void> {
  for (let waited = 0; model.running > 0; waited += 5) {
    assert.ok(waited < 1000, "the generation still runs");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(model.cut, 1);
}
