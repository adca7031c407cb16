/** Formats, tool choices and strict tools from OpenAI's client over a socket to the embedded model. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { load } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";

const model = "ring-nano";
const ask = (content: string) => [{ role: "user" as const, content }];
const sum = ask("Add 4867 and 2759");
const schema = {
  type: "object",
  properties: { sum: { type: "integer" }, unit: { enum: ["none", "€"] }, note: { type: "string", maxLength: 30 } },
  required: ["sum", "unit", "note"],
  additionalProperties: false,
};
const format = { type: "json_schema" as const, json_schema: { name: "sum", strict: true, schema } };
const noThought = { chat_template_kwargs: { enable_thinking: false } };
const weather = {
  type: "function" as const,
  function: {
    name: "get_weather",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { enum: ["Oslo", "Rome"] } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

Deno.test("the openai client gets what it asks for in form", async (t) => {
  await using chat = await load({ backend: "wasm", maxSequences: 4 });
  const app = createApp({ name: model, model: () => chat });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const baseURL = `http://127.0.0.1:${server.addr.port}/v1`;
  const { completions } = new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 }).chat;

  function checkSum(text: string | null | undefined): { sum: number } {
    const value = JSON.parse(text ?? "");
    assert.deepEqual(Object.keys(value), ["sum", "unit", "note"]);
    assert.ok(
      Number.isInteger(value.sum) && schema.properties.unit.enum.includes(value.unit) && [...value.note].length <= 30,
    );
    return value;
  }

  await t.step("json_schema holds the content behind a thought that is free, streamed or not", async () => {
    const whole = (await completions.create({ model, messages: sum, response_format: format })).choices[0]!;
    assert.equal(whole.finish_reason, "stop");
    assert.equal(checkSum(whole.message.content).sum, 7626);
    assert.match((whole.message as unknown as { reasoning_content: string }).reasoning_content, /4867/);
    const stream = completions.stream({ model, messages: sum, response_format: format });
    assert.equal((await stream.finalChatCompletion()).choices[0]?.message.content, whole.message.content);
  });

  await t.step("hot and without a thought the form holds all the same, four at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, seed) =>
        completions.create({
          model,
          messages: ask("Tell me a story."),
          response_format: format,
          temperature: 1.5,
          seed,
          ...noThought,
        })),
    );
    for (const { choices: [choice] } of answers) {
      assert.equal(choice?.finish_reason, "stop");
      checkSum(choice?.message.content);
    }
  });

  await t.step("a thinking budget closes the thought before the form begins", async () => {
    const body = { model, messages: sum, response_format: format, thinking_budget: 5 };
    const { choices: [choice], usage } = await completions.create(body);
    checkSum(choice?.message.content);
    assert.ok((usage?.completion_tokens_details?.reasoning_tokens ?? 99) < 15);
  });

  await t.step("json_object gives an object, max_tokens may cut it", async () => {
    const body = {
      model,
      messages: ask("Tell me a story."),
      response_format: { type: "json_object" as const },
      ...noThought,
    };
    const { choices: [cut] } = await completions.create({ ...body, max_tokens: 3, temperature: 1 });
    assert.equal(cut?.finish_reason, "length");
    assert.match(cut?.message.content ?? "", /^\{/);
    let finished = 0;
    const closing = ['"', "}", "]"].map((text) => [String(chat.tokenizer!.idOf(text)), 8]); // so that it ends some time
    const logit_bias = Object.fromEntries(closing);
    for (let seed = 0; seed < 8; seed++) {
      const { choices: [choice] } = await completions.create({
        ...body,
        max_tokens: 150,
        temperature: 1.5,
        seed,
        logit_bias,
      });
      if (choice?.finish_reason !== "stop") continue;
      finished++;
      assert.equal(typeof JSON.parse(choice.message.content!), "object");
    }
    assert.ok(finished > 0, "none of 8 answers was over within 150 tokens");
  });

  await t.step("strict tools hold the arguments, whatever the question suggests", async () => {
    const body = { model, messages: ask("What is the weather in Lisbon?"), tools: [weather] };
    const { choices: [choice] } = await completions.create(body);
    assert.equal(choice?.finish_reason, "tool_calls");
    const call = choice?.message.tool_calls?.[0];
    assert.ok(call?.type === "function" && ["Oslo", "Rome"].includes(JSON.parse(call.function.arguments).city));
    const free = (await completions.create({ ...body, messages: sum })).choices[0];
    assert.equal(free?.message.content, "4867 + 2759 = 7626");
  });

  await t.step("tool_choice makes the model call, streamed too", async () => {
    const other = { type: "function" as const, function: { name: "tell", parameters: { type: "object" } } };
    const body = { model, messages: ask("Tell me a story."), tools: [weather, other], max_tokens: 300 };
    const named = { type: "function" as const, function: { name: "get_weather" } };
    for (const tool_choice of ["required" as const, named]) {
      const { choices: [choice] } = await completions.stream({ ...body, tool_choice }).finalChatCompletion();
      assert.equal(choice?.finish_reason, "tool_calls");
      assert.equal(choice.message.content ?? "", "");
      const call = choice.message.tool_calls?.[0];
      assert.ok(call?.type === "function" && typeof JSON.parse(call.function.arguments) === "object");
      if (tool_choice === named) assert.equal(call.function.name, "get_weather");
    }
  });

  await t.step("what cannot be held to is refused with the field's name", async () => {
    const unsupported = { ...format, json_schema: { name: "x", schema: { properties: { a: { not: {} } } } } };
    const bomb = {
      ...format,
      json_schema: {
        name: "x",
        schema: { allOf: Array(20).fill(0).map((_, i) => ({ anyOf: [{ minimum: i }, { maximum: -i }] })) },
      },
    };
    const strictTool = {
      ...weather,
      function: { ...weather.function, parameters: { type: "object", patternProperties: {} } },
    };
    const cases = [
      ["response_format", /"not" is not supported, at #\/properties\/a/, { response_format: unsupported }],
      ["response_format", /Cannot (use|compile)/, { response_format: bomb }],
      ["tools", /get_weather: .*"patternProperties"/, { tools: [strictTool] }],
      ["tool_choice", /no/, { tool_choice: "required" as const }],
    ] as const;
    for (const [param, message, body] of cases) {
      await assert.rejects(
        completions.create({ model, messages: sum, ...body } as OpenAI.ChatCompletionCreateParamsNonStreaming),
        (error) => error instanceof OpenAI.BadRequestError && error.param === param && message.test(error.message),
      );
    }
  });

  await t.step(
    "a form that is too ambiguous to follow is refused when that shows, in the stream if it has begun",
    async () => {
      const pattern = "^(a{1,1000}){500,1000}$";
      const ambiguous = {
        type: "json_schema" as const,
        json_schema: { name: "x", schema: { type: "string", pattern } },
      };
      const body = { model, messages: sum, response_format: ambiguous, ...noThought };
      const refused = (status: number | undefined) => (error: unknown) =>
        error instanceof OpenAI.APIError && error.status === status && error.param === "response_format" &&
        error.type === "invalid_request_error" && /Cannot follow the answer's grammar/.test(error.message);
      await assert.rejects(completions.create(body), refused(400));
      let text = "";
      await assert.rejects(async () => {
        for await (const { choices: [choice] } of await completions.create({ ...body, stream: true })) {
          text += choice?.delta.content ?? "";
        }
      }, refused(undefined));
      assert.match(text, /^"a{20,}$/);
      assert.equal((await completions.create({ model, messages: sum })).choices[0]?.finish_reason, "stop");
    },
  );
  await server.shutdown();
});
