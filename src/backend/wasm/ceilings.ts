/** What threads of the CPU can do at best. */
import { StartedThreads } from "./started_threads.ts";
import { WasmBackend } from "./wasm_backend.ts";

/** More than caches hold. */
const READ_BYTES = 256 * 2 ** 20;

/** Columns of the product that reads. */
const READ_WIDTH = 4096;

const LINE = 8; // f64 of a cache line

/** Long enough for the modules to be compiled in earnest. */
const MEASURE_MILLIS = 400;

/** A product of this size, and square for each thread, stays in the caches. */
const SIDE = 512;
const ROWS = 64;

/**
 * As `measureDevice` says, for so many threads. Operations are those of this backend's own product of many rows; bytes what one thread reads,
 * or all of them by a product of one row if those are more.
 */
export async function measureWasm(threads: number) {
  const source = new Float64Array(READ_BYTES / 8).fill(1.5);
  let readMillis = await best(() => Promise.resolve(readLines(source)));
  await using others = new StartedThreads(threads - 1);
  using backend = await WasmBackend.open(others.ports());
  if (threads > 1) {
    const readAll = await product(backend, 1, [READ_BYTES / 4 / READ_WIDTH, READ_WIDTH]);
    readMillis = Math.min(readMillis, await best(readAll));
  }
  const productMillis = await best(await product(backend, ROWS, [threads * SIDE, SIDE]));
  return {
    device: backend.device,
    bandwidth: READ_BYTES / readMillis * 1e3,
    flops: 2 * ROWS * threads * SIDE * SIDE / productMillis * 1e3,
    dispatchMillis: null,
  };
}

/** Reads one number of each cache line, four at a time. */
function readLines(source: Float64Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < source.length; i += 4 * LINE) {
    a += source[i]!;
    b += source[i + LINE]!;
    c += source[i + 2 * LINE]!;
    d += source[i + 3 * LINE]!;
  }
  return a + b + c + d;
}

/** A run that adds x [rows, K] @ W^T to out [rows, N], with W [N, K] in f32. */
async function product(backend: WasmBackend, rows: number, [N, K]: readonly [N: number, K: number]) {
  const [out, x] = [backend.tensor("out", "f32", [rows, N]), backend.tensor("x", "f32", [rows, K])];
  const weight = { values: backend.tensor("weight", "f32", [N, K]), scales: null };
  for (const tensor of [x, weight.values]) await backend.fill(tensor, { seed: 1, spread: 0.05, centre: 0 });
  const plan = backend.record(
    { rows, segments: 1, outputs: 0 },
    (ops) => ops.projectAdd(out, x, { weight, bias: null }),
  );
  const step = { segments: [{ slot: 0, start: 0, rows }], outputs: new Uint32Array(), rows: new Uint32Array() };
  return () => backend.run(plan, step, []);
}

/** Milliseconds of the fastest of many runs. */
async function best(work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  const end = performance.now() + MEASURE_MILLIS;
  while (performance.now() < end) {
    const begun = performance.now();
    await work();
    least = Math.min(least, performance.now() - begun);
  }
  return least;
}
