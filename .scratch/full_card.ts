// Opens a model of random weights, fills the GPU's memory from another device but for some of it, and runs more sequences than there are pages for.
import { openEngine } from "../src/mod.ts";
const [model, promptText, tokensText, countText, leaveText, quantize] = Deno.args;
const [prompt, maxTokens, count, leave] = [promptText, tokensText, countText, leaveText].map(Number) as [number, number, number, number];
const sampling = { temperature: 1, topK: 30, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed: 1 };
const since = performance.now();
const log = (text: string) => console.log(`${((performance.now() - since) / 1000).toFixed(1)} s  ${text}`);
const engine = await openEngine({
  model: model!, randomWeights: model!.endsWith(".json"), backend: "webgpu", maxSequences: count, prefixCache: 2 ** 28, deterministic: true, chunkRows: 512,
  maxContext: 8192, ...(quantize && { quantize: quantize as "q4" }),
});
log(`open: ${JSON.stringify(engine.info.stages)}`);
const requests = Array.from({ length: count }, (_, id) => ({
  prompt: Uint32Array.from({ length: prompt }, (_, i) => (id * 7919 + i * i * 31 + i) % (engine.info.vocabulary - 10)),
  maxTokens, stopTokens: [], sampling: { ...sampling, seed: id }, logprobs: 1, thinking: null,
}));
async function run(request: typeof requests[number]) {
  const tokens: string[] = [];
  for await (const { id, logprob } of engine.generate(request)) tokens.push(`${id} ${logprob}`);
  return tokens.join();
}
const alone = leave >= 0 ? await Promise.all([0, count - 1].map((id) => run(requests[id]!))) : null;
log(`2 beside each other`);
const adapter = (await navigator.gpu.requestAdapter({ powerPreference: "high-performance" }))!;
const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize: adapter.limits.maxBufferSize } });
const buffers: [GPUBuffer, number][] = [];
for (const size of [2 ** 30, 2 ** 28, 2 ** 26]) {
  for (let full = false; !full && leave >= 0;) {
    device.pushErrorScope("out-of-memory");
    const buffer = device.createBuffer({ size: Math.min(size, adapter.limits.maxBufferSize), usage: GPUBufferUsage.STORAGE });
    full = await device.popErrorScope() !== null;
    if (!full) buffers.push([buffer, size]);
  }
}
const filled = buffers.reduce((sum, [, size]) => sum + size, 0);
let freed = 0;
if (leave >= 0 && buffers.length > 0) {
  buffers.filter(([, size]) => size === 2 ** 30).at(-1)![0].destroy();
  device.queue.submit([]);
  await device.queue.onSubmittedWorkDone();
  device.pushErrorScope("out-of-memory");
  device.createBuffer({ size: Math.floor((2 ** 30 - leave) / 16) * 16, usage: GPUBufferUsage.STORAGE });
  console.log("refilled:", await device.popErrorScope());
  freed = leave;
}
device.queue.submit([]);
await device.queue.onSubmittedWorkDone();
log(`filled ${filled / 2 ** 20} MiB of GPU memory, freed ${freed / 2 ** 20} again`);
const answers = await Promise.all(requests.map((one) => run(one).catch((error) => `FAILED ${error.message}`)));
log(`together: ${answers.filter((text) => !text.startsWith("FAILED")).length} of ${count} answered; ${JSON.stringify(await engine.status().catch(() => null))}`);
for (const text of new Set(answers.filter((text) => text.startsWith("FAILED")))) log(text);
if (alone) log(`same as before: ${alone[0] === answers[0]} ${alone[1] === answers[count - 1]}`);
log(`another: ${(await run(requests[1]!).catch((error) => error.message)) === answers[1]}`);
await engine[Symbol.asyncDispose]();
device.destroy();
Deno.exit(0);
