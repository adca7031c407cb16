/** Milliseconds of steps by rows and threads: deno run -A .scratch/steps.ts MODEL THREADS ROWS [seconds] */
import { openStage } from "../src/stage/open.ts";
import { StartedThreads } from "../src/backend/wasm/started_threads.ts";
import { loadConfig, loadConfigFile } from "../src/model/load_config.ts";

const [model = "models/ring-nano", threadList = "1,2", rowList = "1,16,256", seconds = "1", quantize = "none"] = Deno.args;
const random = model.endsWith(".json");
const config = await (random ? loadConfigFile(model) : loadConfig(model));
for (const threads of threadList.split(",").map(Number)) {
  await using started = new StartedThreads(threads - 1);
  await new Promise((r) => setTimeout(r, 300));
  const { model: opened } = await openStage({
    model, layers: { start: 0, end: config.layers }, backend: "wasm", gpu: "deno", decay: "serving", ropeScaling: null,
    quantize: quantize as "none", kvCache: "f32", slots: 16, context: 1024, maxRows: 256, randomWeights: random,
    threadPorts: started.ports(),
  }, () => {});
  using m = opened;
  const line: string[] = [];
  for (const rows of rowList.split(",").map(Number)) {
    const step = (start: number) => rows <= 16
      ? { id: 0, segments: Array.from({ length: rows }, (_, slot) => ({ slot, start, rows: 1 })), outputs: Uint32Array.from({ length: rows }, (_, i) => i) }
      : { id: 0, segments: [{ slot: 0, start: 0, rows }], outputs: Uint32Array.of(rows - 1) };
    const tokens = Uint32Array.from({ length: rows }, (_, i) => (i * 7919) % config.vocab);
    const times: number[] = [];
    const end = performance.now() + 1000 * Number(seconds);
    for (let at = 0; performance.now() < end || times.length < 3; at = (at + 1) % 500) {
      const begun = performance.now();
      await m.forward(step(at), tokens);
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    line.push(`${rows} rows: least ${times[0]!.toFixed(3)} tenth ${times[Math.floor(times.length / 10)]!.toFixed(3)} median ${times[times.length >> 1]!.toFixed(3)} ms`);
  }
  console.log(`${threads} threads  ${line.join("   ")}`);
}
Deno.exit();
