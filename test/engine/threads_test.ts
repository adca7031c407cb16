/** An engine whose stages have several threads: the same answers, nothing left behind, and a clear end when one of them ends. */
import { strict as assert } from "node:assert";
import { EngineClient } from "../../src/engine/client.ts";
import { EngineError } from "../../src/engine/engine_error.ts";
import { openEngine } from "../../src/mod.ts";
import type { GeneratedToken } from "../../src/pipeline/requests.ts";
import { STAGE_OPTIONS } from "../stage/fake_stage.ts";
import { request } from "./local_engine.ts";

const PROMPT = Array.from({ length: 300 }, (_, i) => i * 37 % 4000);

async function answers(stages: number, threads: number): Promise<GeneratedToken[][]> {
  await using engine = await openEngine({ backend: "wasm", stages, threads, maxContext: 1024, maxSequences: 4 });
  assert.match(
    engine.info.stages[0]!.device,
    threads === 1 ? /^CPU \(WASM SIMD\)$/ : /^CPU \(WASM SIMD, \d threads\)$/,
  );
  const wanted = [5, 80, 130, 300].map((length) => request(PROMPT.slice(0, length), { maxTokens: 20, logprobs: 2 }));
  return await Promise.all(wanted.map((one) => Array.fromAsync(engine.generate(one))));
}

Deno.test("answers have the same bits with any number of threads and stages", async () => {
  const expected = await answers(1, 1);
  assert.deepEqual(await answers(1, 3), expected);
  assert.deepEqual(await answers(2, 2), expected);
});

/** Answers once, and prints how many of the process's threads are workers' while the engine is open, and some time after. */
const OPEN_AND_CLOSE = `
import { openEngine } from ${JSON.stringify(new URL("../../src/mod.ts", import.meta.url).href)};
const workers = () => Array.from(Deno.readDirSync("/proc/self/task"), ({ name }) => {
  try {
    return Deno.readTextFileSync("/proc/self/task/" + name + "/comm");
  } catch {
    return ""; // it has just ended
  }
}).filter((name) => name.startsWith("worker-")).length;
const engine = await openEngine({ backend: "wasm", stages: 2, threads: 3, maxContext: 1024 });
await Array.fromAsync(engine.score({ tokens: new Uint32Array(100), logits: false, chunks: [] }));
const open = workers();
await engine[Symbol.asyncDispose]();
const end = performance.now() + 30_000;
while (workers() > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
console.log(open, workers());
`;

const noTasks = Deno.build.os === "linux" ? "" : " (skipped: only Linux lists the threads of a process)";

Deno.test({
  name: `all threads end with their engine, and then the process${noTasks}`,
  ignore: noTasks !== "",
  fn: async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", OPEN_AND_CLOSE] }).output();
    assert.equal(new TextDecoder().decode(stdout), "6 0\n");
  },
});

Deno.test("EngineClient says that a thread ended, and does not wait for it", async () => {
  const options = {
    ...STAGE_OPTIONS,
    model: "{}",
    layers: [{ start: 0, end: 3 }],
    context: 5000,
    maxRows: 4,
    threads: 2,
  };
  await assert.rejects(async () => {
    await using engine = await EngineClient.open(options, { workers: new URL("fake_workers/", import.meta.url) });
    // A busy machine may hear of it only after thousands of tokens.
    for (let i = 0; i < 100; i++) await Array.fromAsync(engine.generate(request([1, 2, 3], { maxTokens: 4000 })));
  }, (error) => error instanceof EngineError && error.message.endsWith("its thread ended without a word"));
});
