import assert from "node:assert/strict";
import fc from "fast-check";
import { Chat } from "../../src/chat/chat.ts";
import type { TokenGenerator } from "../../src/chat/generation.ts";
import type { EngineFinish, GenerateRequest, ScoreRequest } from "../../src/pipeline/requests.ts";
import { createApp } from "../../src/server/app.ts";
import { template, tokenizer } from "../chat/ring_nano.ts";

const bases = {
  "/v1/chat/completions": {
    model: "nano",
    messages: [
      { role: "system", content: "s" },
      { role: "user", content: [{ type: "text", text: "hi" }] },
      {
        role: "assistant",
        content: null,
        reasoning_content: "r",
        tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", content: "1", tool_call_id: "c" },
    ],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 5,
    min_p: 0,
    repetition_penalty: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    logit_bias: { "3": 1 },
    seed: 1,
    stop: ["x"],
    max_tokens: 5,
    max_completion_tokens: 5,
    stream: false,
    stream_options: { include_usage: true },
    logprobs: true,
    top_logprobs: 2,
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
    tool_choice: "auto",
    response_format: { type: "text" },
    chat_template_kwargs: { enable_thinking: true, thinking_budget: 3 },
    n: 1,
    user: "u",
  },
  "/v1/completions": {
    model: "nano",
    prompt: ["once", "upon"],
    max_tokens: 3,
    stream: false,
    logit_bias: {},
    stop: "x",
    n: 2,
    best_of: 2,
    echo: true,
    logprobs: 1,
  },
  "/v1/responses": {
    model: "nano",
    instructions: "s",
    input: [
      { role: "user", content: [{ type: "input_text", text: "hi" }] },
      { type: "reasoning", id: "rs", summary: [], content: [{ type: "reasoning_text", text: "r" }] },
      { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: "1" },
    ],
    max_output_tokens: 5,
    tools: [{ type: "function", name: "f", parameters: { type: "object" } }],
    include: ["message.output_text.logprobs"],
    reasoning: { effort: "low", summary: "auto" },
    stream: true,
    store: false,
  },
  "/tokenize": { model: "nano", messages: [{ role: "user", content: "hi" }], add_special_tokens: true },
  "/detokenize": { model: "nano", tokens: [1, 2, 3] },
};

/** An engine that answers everything with two tokens, or one. */
class TwoTokens implements TokenGenerator {
  readonly failure = null;
  readonly info = { stages: [], devices: 1, context: 2048, slots: 1, vocabulary: tokenizer.vocabSize };
  running = 0;

  status() {
    const prefixCache = { device: { bytes: 0, hits: 0 }, host: { bytes: 0, hits: 0 } };
    return Promise.resolve({ running: 0, waiting: 0, steps: 0, rows: 0, preemptions: 0, prefixCache });
  }

  generate({ prompt, maxTokens, logprobs }: GenerateRequest) {
    const top = logprobs === null ? {} : { logprob: -1, top: [[300, -1]] as const };
    const tokens = [300, 301].slice(0, maxTokens).map((id) => ({ id, ...top }));
    const stats = {
      promptTokens: prompt.length,
      cachedTokens: 0,
      generatedTokens: tokens.length,
      prefillMillis: 1,
      decodeMillis: 1,
    };
    const finish: EngineFinish = "length";
    const iterate = async function* (this: TwoTokens) {
      this.running++;
      yield* tokens;
      this.running--;
    };
    return Object.assign(iterate.call(this), { result: Promise.resolve({ finish, stats }) });
  }

  async *score({ tokens }: ScoreRequest) {
    const logprobs = Float64Array.from(tokens, (_, i) => i === 0 ? NaN : -1);
    yield { first: 0, logprobs, logits: null, top: Array.from(tokens, () => [[300, -1] as const]) };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

type Json = Record<string, unknown>;

/** Every place in a JSON value down to some depth, as a path of keys. */
function places(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null || path.length > 8) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

/** A copy of `value` in which the value at `path` is what `change` makes of it; undefined takes it out. */
function edit(value: unknown, path: string[], change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(value);
  const copy = (Array.isArray(value) ? [...value] : { ...value as Json }) as Json;
  copy[key] = edit(copy[key], rest, change);
  if (copy[key] === undefined && !Array.isArray(copy)) delete copy[key];
  return copy;
}

const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));

const hostile = fc.oneof(
  fc.constantFrom(null, undefined, true, false, "", "\ud800", "\0", [], {}, [null], { "": {} }, "__proto__"),
  fc.constantFrom(0, -1, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 31, 0.1),
  fc.constantFrom(...[10, 100, 5000].map(nested)),
  fc.constant("x".repeat(100_000)),
  fc.jsonValue(),
  fc.string({ unit: "binary" }),
);

/** Another value of the old one's type: often still valid. */
const gentle = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.string({ unit: "binary" })).map(
  ([number, text]) => (old: unknown) => typeof old === "number" ? number : typeof old === "string" ? text : old,
);
const replaced = hostile.map((value) => () => value);
const extended = fc.tuple(fc.string(), hostile).map(([key, value]) => (old: unknown) =>
  typeof old === "object" ? { ...old, [key]: value } : [old, value]
);
const mutation = fc.oneof(
  { weight: 6, arbitrary: gentle },
  { weight: 4, arbitrary: replaced },
  { weight: 1, arbitrary: extended },
);

/** Damages the text of a body: cuts it, drops a byte or turns one into something else. */
const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() });

Deno.test("1,000 mutated requests get an answer or an OpenAI error, never a 5xx", async () => {
  const engine = new TwoTokens();
  const chat = new Chat({ model: "nano", tokenizer, template, engine, stopTokens: [] });
  const app = createApp({ name: "nano", model: () => chat });
  const path = fc.constantFrom(...Object.keys(bases) as (keyof typeof bases)[]);
  const edits = fc.array(fc.tuple(fc.nat(), mutation), { minLength: 1, maxLength: 3 });
  const maybeDamage = fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: damage });
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(path, edits, maybeDamage, async (path, edits, damage) => {
      const body = edits.reduce<unknown>((body, [at, change]) => {
        const all = places(body);
        return edit(body, all[at % all.length]!, change);
      }, bases[path]);
      const bytes = new TextEncoder().encode(JSON.stringify(body) ?? "");
      if (damage && bytes.length > 0) bytes[damage.at % bytes.length] = damage.byte;
      const sent = damage?.cut ? bytes.subarray(0, damage.at % (bytes.length + 1)) : bytes;
      const headers = { "content-type": "application/json" };
      const response = await app.request(path, { method: "POST", headers, body: sent });
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      const text = await response.text();
      if (response.status === 200) return;
      assert.ok(response.status >= 400 && response.status < 500, `${response.status} for ${JSON.stringify(body)}`);
      const { error } = JSON.parse(text);
      assert.equal(typeof error.message, "string");
      assert.equal(error.type, "invalid_request_error");
      assert.ok(text.length < 2000, "an error body repeats the request");
    }),
    { numRuns: 1000, seed: 20 },
  );
  assert.equal(engine.running, 0);
  assert.ok((statuses.get(200) ?? 0) > 100 && (statuses.get(400) ?? 0) > 500, JSON.stringify([...statuses]));
});
