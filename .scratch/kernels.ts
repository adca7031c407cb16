/** Which kernels a step's time goes to, by one thread. */
import { openStage } from "../src/stage/open.ts";
import { WasmBackend } from "../src/backend/wasm/wasm_backend.ts";
import { loadConfig } from "../src/model/load_config.ts";
import { Memory } from "../wasm/memory.ts";
import { type KernelsExports, url } from "../wasm/kernels.ts";
const model = "models/ring-nano";
const config = await loadConfig(model);
const memory = await Memory.load<KernelsExports>(url, true);
let calls: [string, number][] = [];
const wrapped = Object.fromEntries(Object.entries(memory.kernels).map(([name, f]) => [name, typeof f !== "function" ? f : (...a: number[]) => { const t = performance.now(); (f as any)(...a); calls.push([name, performance.now() - t]); }])) as unknown as KernelsExports;
const { model: m } = await openStage({ model, layers: { start: 0, end: config.layers }, backend: "wasm", gpu: "deno", decay: "serving", ropeScaling: null, quantize: "none", kvCache: "f32", slots: 16, context: 1024, maxRows: 256 } as any, () => {}, () => Promise.resolve(new WasmBackend(memory, wrapped)));
for (const rows of [1, 16, 256]) {
  const step = (start: number) => rows <= 16
      ? { id: 0, segments: Array.from({ length: rows }, (_, slot) => ({ slot, start, rows: 1 })), outputs: Uint32Array.from({ length: rows }, (_, i) => i) }
      : { id: 0, segments: [{ slot: 0, start: 0, rows }], outputs: Uint32Array.of(rows - 1) };
  const tokens = Uint32Array.from({ length: rows }, (_, i) => (i * 7919) % config.vocab);
  let least: number[] = [], names: string[] = [], wall = Infinity;
  for (let i = 0; i < (rows === 256 ? 12 : 300); i++) {
    calls = [];
    const t = performance.now();
    await m.forward(step(i % 500), tokens);
    wall = Math.min(wall, performance.now() - t);
    names = calls.map(([n]) => n);
    least = calls.map(([, t], j) => Math.min(t, least[j] ?? Infinity));
  }
  const sums = new Map<string, [number, number]>();
  least.forEach((t, j) => { const s = sums.get(names[j]!) ?? [0, 0]; sums.set(names[j]!, [s[0] + t, s[1] + 1]); });
  console.log(`${rows} rows: ${least.reduce((a, b) => a + b).toFixed(3)} ms of least, wall least ${wall.toFixed(3)}`);
  for (const [n, [t, c]] of [...sums].sort((a, b) => b[1][0] - a[1][0])) console.log("  ", n.padEnd(20), (1e3 * t).toFixed(0).padStart(8), "µs", String(c).padStart(4), "calls", (1e3 * t / c).toFixed(1).padStart(8), "µs each");
}
