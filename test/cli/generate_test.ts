import assert from "node:assert/strict";
import { content, finish, type Script } from "../server/scripted_model.ts";
import { ringlet } from "./fake_host.ts";

const script = [{ type: "reasoning", text: "hm" }, content("Hel"), content("lo"), finish] satisfies Script;

Deno.test("generate prints the answer alone, whole lines of it", async () => {
  const { code, out, err, model } = await ringlet(["generate", "Hi"], { script });
  assert.deepEqual([code, out, err], [0, "Hello\n", ""]);
  assert.deepEqual(model.requests, [{ messages: [{ role: "user", content: "Hi" }], sampling: {} }]);
  assert.ok(model.disposed);
});

Deno.test("generate --show-thinking shows the thought on stderr", async () => {
  const { out, err } = await ringlet(["generate", "--show-thinking", "Hi"], { script });
  assert.deepEqual([out, err], ["Hello\n", "hm\n\n"]);
});

Deno.test("generate reads its prompt from stdin if there is none", async () => {
  const { model } = await ringlet(["generate"], { script, stdin: "From a pipe\n" });
  assert.deepEqual(model.requests[0], { messages: [{ role: "user", content: "From a pipe\n" }], sampling: {} });
});

Deno.test("generate passes every flag on", async () => {
  const { loaded, model } = await ringlet([
    ..."generate --model m --backend wasm --stages 2 --max-context 99 --decay mlx --rope-scaling yarn:4".split(" "),
    ..."--quantize q4 --kv-cache f16 --gpu deno,wgpu-native:1".split(" "),
    ..."--system S --max-tokens 5 --temperature 0.6 --top-p 0.9 --top-k 4 --min-p 0.1 --repetition-penalty 1.2".split(
      " ",
    ),
    ..."--seed 7 --stop a --stop b --no-think --think-budget 3 Hi".split(" "),
  ], { script });
  const { onProgress, onSplit, ...options } = loaded[0]!;
  assert.deepEqual([typeof onProgress, typeof onSplit], ["function", "function"]);
  assert.deepEqual(options, {
    model: "m",
    backend: "wasm",
    gpu: ["deno", "wgpu-native:1"],
    stages: 2,
    maxContext: 99,
    decay: "mlx",
    ropeScaling: "yarn:4",
    quantize: "q4",
    kvCache: "f16",
  });
  assert.deepEqual(model.requests, [{
    messages: [{ role: "system", content: "S" }, { role: "user", content: "Hi" }],
    sampling: { temperature: 0.6, topP: 0.9, topK: 4, minP: 0.1, repetitionPenalty: 1.2, seed: 7 },
    maxTokens: 5,
    stop: ["a", "b"],
    thinking: false,
    thinkBudget: 3,
  }]);
});

Deno.test("generate --raw continues the text without a template", async () => {
  const { model } = await ringlet(["generate", "--raw", "Call me"], { script });
  assert.deepEqual(model.requests, [{ prompt: "Call me", sampling: {} }]);
});

Deno.test("generate --json prints one object with counts, finish reason and timings", async () => {
  const timings = { prefillMillis: 70, decodeMillis: 4 };
  const { out, err } = await ringlet(["generate", "--json", "Hi"], {
    script: [...script.slice(0, 3), { ...finish, timings } as typeof finish],
  });
  assert.equal(err, "");
  assert.deepEqual(JSON.parse(out), {
    text: "Hello",
    reasoning: "hm",
    prompt_tokens: 7,
    completion_tokens: 3,
    reasoning_tokens: 1,
    finish_reason: "stop",
    timings: {
      prefill_ms: 70,
      decode_ms: 4,
      prefill_tokens_per_second: 100,
      decode_tokens_per_second: 500,
    },
  });
});

Deno.test("generate ends the line of an answer that breaks, and says why on one of its own", async () => {
  const { code, out, err } = await ringlet(["generate", "Hi"], {
    script: [content("Hel"), () => Promise.reject(new Error("The device was lost"))],
  });
  assert.deepEqual([code, out, err], [1, "Hel\n", "ringlet: The device was lost\n"]);
});
