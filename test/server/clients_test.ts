/** The clients that people use, against a live server with the embedded model: chat, streams, tools, errors. */
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { APICallError, generateText, isStepCount, Output, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";
import { load } from "../../src/mod.ts";
import { createApp } from "../../src/server/app.ts";

const SUM = "Add 4867 and 2759";
const ANSWER = "4867 + 2759 = 7626";
const WEATHER = "What is the weather in Lisbon?";
const city = z.object({ city: z.string() });
const total = z.object({ left: z.int(), right: z.int(), sum: z.int() });
const getWeather = { name: "get_weather", description: "Get the weather." };

/** LangChain's types lose this field under exactOptionalPropertyTypes. */
function totalTokens(message: object): number | undefined {
  return (message as { usage_metadata?: { total_tokens: number } }).usage_metadata?.total_tokens;
}

/** A server with the embedded model and two slots. */
async function withServer(test: (baseURL: string) => Promise<void>): Promise<void> {
  await using chat = await load({ backend: "wasm", maxSequences: 2 });
  const app = createApp({ name: "ring-nano", model: () => chat, apiKeys: ["secret"] });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  try {
    await test(`http://127.0.0.1:${server.addr.port}/v1`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("other people's clients work with the embedded model", async (t) => {
  await withServer(async (baseURL) => {
    const provider = createOpenAICompatible({ name: "ringlet", baseURL, apiKey: "secret", includeUsage: true });
    const model = provider("ring-nano");
    const structured = createOpenAICompatible({
      name: "ringlet",
      baseURL,
      apiKey: "secret",
      supportsStructuredOutputs: true,
    })("ring-nano");
    const weather = tool({
      description: getWeather.description,
      inputSchema: city,
      execute: ({ city }) => ({ city, temperature: 21 }),
    });

    await t.step("ai: a whole and a streamed answer are the same, thought and usage included", async () => {
      const whole = await generateText({ model, prompt: SUM });
      assert.equal(whole.text, ANSWER);
      const streamed = streamText({ model, prompt: SUM });
      let pieces = 0;
      for await (const _ of streamed.textStream) pieces++;
      assert.ok(pieces > 1);
      assert.equal(await streamed.text, ANSWER);
      assert.equal(await streamed.reasoningText, whole.reasoningText);
      assert.ok(whole.reasoningText);
      assert.deepEqual((await streamed.usage).totalTokens, whole.usage.totalTokens);
    });

    await t.step("ai: a tool is called, its result goes back and the model answers", async () => {
      const streamed = streamText({
        model,
        prompt: WEATHER,
        tools: { get_weather: weather },
        stopWhen: isStepCount(2),
      });
      let pieces = 0;
      for await (const part of streamed.stream) if (part.type === "tool-input-delta") pieces++;
      assert.ok(pieces > 1, "the arguments came at once");
      const steps = await streamed.steps;
      assert.deepEqual(steps[0]?.toolCalls.map(({ toolName, input }) => [toolName, input]), [
        ["get_weather", { city: "Lisbon" }],
      ]);
      assert.deepEqual([steps.length, steps[0]?.finishReason], [2, "tool-calls"]);
      assert.match(await streamed.text, /21/);
    });

    await t.step("ai: an answer is an object of a schema", async () => {
      const { output } = await generateText({
        model: structured,
        prompt: SUM,
        output: Output.object({ schema: total }),
      });
      assert.ok(total.safeParse(output).success, JSON.stringify(output));
    });

    await t.step("ai: errors have their status and say why", async () => {
      await assert.rejects(
        generateText({ model: provider("gpt"), prompt: "Hi", maxRetries: 0 }),
        (error) => APICallError.isInstance(error) && error.statusCode === 404 && /not served here/.test(error.message),
      );
      await assert.rejects(
        generateText({ model, prompt: "Hi", temperature: 9, maxRetries: 0 }),
        (error) => APICallError.isInstance(error) && error.statusCode === 400 && /temperature/.test(error.message),
      );
    });

    const langchain = (fields: object = {}) =>
      new ChatOpenAI({ model: "ring-nano", apiKey: "secret", configuration: { baseURL }, maxRetries: 0, ...fields });

    await t.step("LangChain: a whole and a streamed answer are the same", async () => {
      const whole = await langchain().invoke(SUM);
      assert.equal(whole.content, ANSWER);
      let text = "", pieces = 0, tokens = 0;
      for await (const chunk of await langchain().stream(SUM)) {
        text += chunk.content;
        pieces++;
        tokens += totalTokens(chunk) ?? 0;
      }
      assert.deepEqual([text, tokens], [ANSWER, totalTokens(whole)]);
      assert.ok(pieces > 2);
    });

    await t.step("LangChain: a tool is called, streamed or not, and its result goes back", async () => {
      const lookUp = langchainTool(({ city }) => `{"city": "${city}", "temperature": 21}`, {
        ...getWeather,
        schema: city,
      });
      const bound = langchain().bindTools([lookUp]);
      const question = new HumanMessage(WEATHER);
      const asked = await bound.invoke([question]);
      const [call] = asked.tool_calls ?? [];
      assert.deepEqual([call?.name, call?.args], ["get_weather", { city: "Lisbon" }]);
      const result = new ToolMessage({
        content: await lookUp.invoke(call!.args as { city: string }),
        tool_call_id: call!.id!,
      });
      const reply = await bound.invoke([question, asked, result]);
      assert.match(String(reply.content), /21/);
      const chunks = await Array.fromAsync(await bound.stream([question]));
      const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
      assert.deepEqual(whole.tool_calls?.map(({ args }) => args), [{ city: "Lisbon" }]);
    });

    await t.step("LangChain: an answer is an object of a schema", async () => {
      for (const method of ["jsonSchema", "functionCalling"] as const) {
        const reply = await langchain().withStructuredOutput(total, { name: "total", method, strict: true }).invoke(
          SUM,
        );
        assert.ok(total.safeParse(reply).success, JSON.stringify(reply));
      }
    });

    await t.step("LangChain: the Responses API gives the same", async () => {
      const reply = await langchain({ useResponsesApi: true }).invoke(SUM);
      assert.equal(reply.text, ANSWER);
      let text = "";
      for await (const chunk of await langchain({ useResponsesApi: true }).stream(SUM)) text += chunk.text;
      assert.equal(text, ANSWER);
    });

    await t.step("LangChain: errors have their status and say why", async () => {
      await assert.rejects(langchain({ temperature: 9 }).invoke("Hi"), { status: 400, message: /temperature/ });
      await assert.rejects(langchain({ apiKey: "wrong" }).invoke("Hi"), { status: 401 });
    });

    const openai = new OpenAI({ apiKey: "secret", baseURL, maxRetries: 0 });

    await t.step("openai: several choices are what their seeds give alone", async () => {
      const body = {
        model: "auto",
        messages: [{ role: "user" as const, content: "Tell me a story." }],
        max_tokens: 20,
      };
      const sampled = { ...body, temperature: 1.5, seed: 3 };
      const texts = (choices: OpenAI.ChatCompletion.Choice[]) => choices.map(({ message }) => JSON.stringify(message));
      const together = texts((await openai.chat.completions.create({ ...sampled, n: 3 })).choices);
      const alone = [];
      for (const seed of [3, 4, 5]) {
        alone.push(...texts((await openai.chat.completions.create({ ...sampled, seed })).choices));
      }
      assert.deepEqual(together, alone);
      assert.equal(new Set(together).size, 3);
    });

    await t.step("openai: a chat and a response are objects of a schema", async () => {
      const schema = z.toJSONSchema(total);
      const json_schema = { name: "total", schema, strict: true };
      const messages = [{ role: "user" as const, content: SUM }];
      const { choices: [choice] } = await openai.chat.completions.create({
        model: "ring-nano",
        messages,
        response_format: { type: "json_schema", json_schema },
      });
      const response = await openai.responses.create({
        model: "ring-nano",
        input: SUM,
        text: { format: { type: "json_schema", ...json_schema } },
      });
      for (const text of [choice?.message.content ?? "", response.output_text]) {
        assert.ok(total.safeParse(JSON.parse(text)).success, text);
      }
    });

    await t.step("openai: a response must call a tool where it is told to", async () => {
      const tools = [{ type: "function" as const, ...getWeather, parameters: z.toJSONSchema(city), strict: true }];
      for (const tool_choice of ["required" as const, { type: "function" as const, name: "get_weather" }]) {
        const { output } = await openai.responses.create({ model: "ring-nano", input: SUM, tools, tool_choice });
        const call = output.find((item) => item.type === "function_call");
        assert.ok(call && city.safeParse(JSON.parse(call.arguments)).success, JSON.stringify(output));
      }
    });

    await t.step("openai: a chat's streamed call goes back as the client has it", async () => {
      const parameters = z.toJSONSchema(city);
      const tools = [{ type: "function" as const, function: { ...getWeather, parameters } }];
      const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: WEATHER }];
      const first = await openai.chat.completions.stream({ model: "ring-nano", messages, tools }).finalMessage();
      const content = '{"city": "Lisbon", "temperature": 21}';
      messages.push(first, { role: "tool", tool_call_id: first.tool_calls![0]!.id, content });
      const { choices: [choice] } = await openai.chat.completions.create({ model: "ring-nano", messages, tools });
      assert.match(choice?.message.content ?? "", /21/);
    });

    await t.step("openai: a response's call and its result make the next response", async () => {
      const tools = [{ type: "function" as const, ...getWeather, parameters: z.toJSONSchema(city), strict: false }];
      const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: WEATHER }];
      const stream = openai.responses.stream({ model: "ring-nano", input, tools });
      let pieces = 0;
      for await (const event of stream) if (event.type === "response.function_call_arguments.delta") pieces++;
      assert.ok(pieces > 1, "the arguments came at once");
      const first = await stream.finalResponse();
      const call = first.output.find((item) => item.type === "function_call")!;
      assert.deepEqual([call.name, call.arguments], ["get_weather", '{"city": "Lisbon"}']);
      input.push(...first.output.map((item) => ({ ...item }) as OpenAI.Responses.ResponseInputItem));
      input.push({
        type: "function_call_output",
        call_id: call.call_id,
        output: '{"city": "Lisbon", "temperature": 21}',
      });
      const second = await openai.responses.create({ model: "ring-nano", input, tools });
      assert.match(second.output_text, /21/);
    });
  });
});
