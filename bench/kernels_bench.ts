/**
 * Times every operation by the device's clock, on full-size shapes and on the cases of the kernel tests, beside the device's
 * ceilings: `deno run -A bench/kernels_bench.ts [--backend webgpu|wasm] [--gpu PROVIDER] [--quantize q8|q4] [filter]`, the filter a regular expression for names.
 */
import { parseArgs } from "node:util";
import type { Backend } from "../src/backend/backend.ts";
import { byteLength, type Tensor } from "../src/backend/tensor.ts";
import { WasmBackend } from "../src/backend/wasm/wasm_backend.ts";
import { WebGpuBackend } from "../src/backend/webgpu/webgpu_backend.ts";
import { gpuProvider } from "../src/cli/args.ts";
import { digits, median, operations } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { type Ceilings, measureDevice } from "../src/mod.ts";
import { CaseMaker } from "../test/backend/case_maker.ts";
import { capacityOf, CASES } from "../test/backend/cases.ts";
import type { OpCase } from "../test/backend/op_case.ts";
import { FULL_SIZE_CASES, type KernelCase, Maker, type Timed } from "./full_size_cases.ts";

/** Runs that are timed, at least, and the time that a case may take. */
const RUNS = 5;
const CASE_MILLIS = 300;

/** More than the caches of an H100 (50 MB) and of most CPUs hold. */
const COLD_BYTES = 192 * 2 ** 20;

const { values: { backend: name, gpu: provider, quantize }, positionals: [filter = ""] } = parseArgs({
  options: {
    backend: { type: "string", default: "webgpu" },
    gpu: { type: "string", default: "deno" },
    quantize: { type: "string", default: "none" },
  },
  allowPositionals: true,
});
if (name !== "webgpu" && name !== "wasm") throw new RangeError(`Cannot use "${name}": it must be webgpu or wasm`);
if (quantize !== "none" && quantize !== "q8" && quantize !== "q4") {
  throw new RangeError(`Cannot use "${quantize}": it must be none, q8 or q4`);
}

const gpu = gpuProvider(provider);

const open = (): Promise<Backend> => name === "wasm" ? WasmBackend.open() : WebGpuBackend.open({ gpu, timed: true });

/** A case of the kernel tests: its last step; every tensor counts once, which is little beside what a dispatch costs. */
function smallCase({ name, steps, prepare }: OpCase): KernelCase {
  return {
    name,
    async prepare({ backend }) {
      const made: Tensor[] = [];
      const make = new CaseMaker(backend, 20);
      const tensor = backend.tensor.bind(backend);
      backend.tensor = (...wanted) => made[made.push(tensor(...wanted)) - 1]!;
      const { build } = prepare(make);
      await make.written();
      const bytes = made.reduce((sum, each) => sum + byteLength(each), 0);
      return { build, step: steps.at(-1)!, times: 1, bytes, flops: 0 };
    },
  };
}

/** Median milliseconds of one time. */
async function time(backend: Backend, { build, step, times }: Timed): Promise<number> {
  const plan = backend.record({ ...capacityOf([step]), rounds: 1 }, build);
  await backend.run(plan, step, []); // compiles
  const all: number[] = [];
  const end = performance.now() + CASE_MILLIS;
  while (all.length < RUNS || performance.now() < end) {
    const begun = performance.now();
    await backend.run(plan, step, []);
    all.push((backend.gpuMillis ?? performance.now() - begun) / times);
  }
  return median(all);
}

function line({ bandwidth, flops: most }: Ceilings, name: string, { bytes, flops }: Timed, millis: number): string {
  const [read, computed] = [1e3 * bytes / millis, 1e3 * flops / millis];
  return [
    digits(1e3 * millis).padStart(9),
    digits(read / 1e9).padStart(8),
    digits(100 * read / bandwidth).padStart(7),
    operations(computed).padStart(9),
    digits(100 * computed / most).padStart(7),
    ` ${name}`,
  ].join(" ");
}

const ceilings = await measureDevice({ backend: name, gpu });
const { device, bandwidth, flops, dispatchMillis } = ceilings;
const terminal = processTerminal();
terminal.write(`${device}: ${operations(bandwidth)}B/s, ${operations(flops)}FLOP/s, ${dispatchMillis} ms a dispatch\n`);
terminal.write("       us     GB/s   of it%    FLOP/s   of it%  operation\n");
for (const each of [...FULL_SIZE_CASES, ...CASES.map(smallCase)]) {
  if (!new RegExp(filter).test(each.name)) continue;
  using backend = await open();
  const timed = await each.prepare(new Maker(backend, COLD_BYTES, quantize));
  terminal.write(`${line(ceilings, each.name, timed, await time(backend, timed))}\n`);
}
