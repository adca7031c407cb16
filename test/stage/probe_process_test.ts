/** Probes in a process by themselves: what they answer, and what becomes of those that hang, crash or refuse. */
import { strict as assert } from "node:assert";
import { isFigures, probeApart } from "../../src/stage/probe_process.ts";
import type { Computer } from "../../src/stage/probe.ts";

const entryOf = (name: string) => new URL(`fake_probes/${name}.ts`, import.meta.url);

const fake = (name: string, computer: Computer = "deno", patience?: number) =>
  probeApart(computer, 3, { entry: entryOf(name), ...(patience !== undefined && { patience }) });

Deno.test("probeApart() gives the figures of the last line, and passes threads on", async () => {
  const figures = await fake("answer");
  assert.deepEqual([figures.device, figures.features, figures.bandwidth], ["deno", ["3 threads"], 4]);
});

Deno.test("probeApart() says in one sentence why there are no figures", async () => {
  await assert.rejects(fake("refuse"), { message: "Cannot open a GPU: there is none" });
  await assert.rejects(fake("answer", "wasm"), { message: "Cannot measure wasm: its process ended with 0" });
  await assert.rejects(fake("crash"), { message: "Cannot measure deno: its process ended with SIGKILL" });
});

Deno.test("probeApart() ends a probe that hangs", async () => {
  await assert.rejects(fake("hang", "wgpu-native", 500), {
    message: "Cannot measure wgpu-native: it gave no answer in 0.5 s",
  });
});

Deno.test("probeApart() ends when it is told to, with that reason", async () => {
  const stopping = new AbortController();
  const hanging = probeApart("deno", 1, { entry: entryOf("hang"), signal: stopping.signal });
  setTimeout(() => stopping.abort(new Error("stopped")), 200);
  await assert.rejects(hanging, { message: "stopped" });
});

Deno.test("isFigures() knows what is whole", async () => {
  const figures = await fake("answer");
  assert.ok(isFigures(figures) && isFigures({ ...figures, matrixFlops: 1 }));
  const broken = [
    ...[null, 7, "x", [], {}],
    ...[{ ...figures, device: 1 }, { ...figures, hardware: "yes" }, { ...figures, features: [1] }],
    ...[{ ...figures, bandwidth: 0 }, { ...figures, flops: null }, { ...figures, roundTripMillis: -1 }],
    ...[{ ...figures, recordMicros: "2" }, { ...figures, matrixFlops: -1 }],
  ];
  for (const value of broken) assert.ok(!isFigures(value), JSON.stringify(value));
});
