import { openEngine } from "../src/mod.ts";
const cpu = () => { const f = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" "); return (Number(f[11]) + Number(f[12])) * 10; };
const sampling = { temperature: 1, topK: 40, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed: 1 };
for (const threads of [1, 2, 4]) {
  const engine = await openEngine({ backend: "wasm", threads, maxContext: 2048 });
  const run = async (n: number) => { for await (const _ of engine.generate({ prompt: Uint32Array.of(1, 2, 3), maxTokens: n, stopTokens: [], sampling, logprobs: null, thinking: null } as any)); };
  await run(100);
  let c = cpu(), t = performance.now(); await run(1500);
  console.log(threads, "threads: decode wall", (performance.now() - t).toFixed(0), "ms cpu", cpu() - c, "ms");
  await new Promise((r) => setTimeout(r, 500));
  c = cpu(); await new Promise((r) => setTimeout(r, 4000)); console.log("   idle 4 s: cpu", cpu() - c, "ms");
  await engine[Symbol.asyncDispose]();
}
