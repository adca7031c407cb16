/** What one thread of the CPU can do at best. */
import { WasmBackend } from "./wasm_backend.ts";

/** More than caches hold. */
const READ_BYTES = 256 * 2 ** 20;

const LINE = 8; // f64 of a cache line

/** Long enough for the modules to be compiled in earnest. */
const MEASURE_MILLIS = 400;

/** A product of this size and square stays in the caches. */
const SIDE = 512;
const ROWS = 64;

/** As `measureDevice` says; operations are those of this backend's own matrix product. */
export async function measureWasm() {
  const source = new Float64Array(READ_BYTES / 8).fill(1.5);
  const readMillis = await best(() => Promise.resolve(readLines(source)));
  using backend = await WasmBackend.open();
  const [out, x] = ["out", "x"].map((label) => backend.tensor(label, "f32", [ROWS, SIDE]));
  const weight = { values: backend.tensor("weight", "f32", [SIDE, SIDE]), scales: null };
  for (const tensor of [x!, weight.values]) await backend.fill(tensor, { seed: 1, spread: 0.05, centre: 0 });
  const plan = backend.record(
    { rows: ROWS, segments: 1, outputs: 0 },
    (ops) => ops.projectAdd(out!, x!, { weight, bias: null }),
  );
  const segments = [{ slot: 0, start: 0, rows: ROWS }];
  const step = { segments, outputs: new Uint32Array(), rows: new Uint32Array() };
  const productMillis = await best(() => backend.run(plan, step, []));
  return {
    device: backend.device,
    bandwidth: READ_BYTES / readMillis * 1e3,
    flops: 2 * ROWS * SIDE * SIDE / productMillis * 1e3,
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
