/** Proves that the tests see every argument of every WASM kernel: whichever is wrong, a check fails. */
import { strict as assert } from "node:assert";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { KERNELS } from "../../wasm/kernels_calls.ts";
import { Memory } from "../../wasm/memory.ts";
import { CASES, checkCase } from "./cases.ts";
import { checkExponential } from "./wasm_exponential.ts";
import { WASM_ROUNDINGS } from "./wasm_roundings.ts";

type Kernel = (...values: number[]) => void;
type Check = (kernels: KernelsExports, memory: Memory<KernelsExports>) => Promise<unknown>;

/** A parameter of a prototype in kernels.h. */
interface Parameter {
  readonly kernel: string;
  readonly name: string;
  readonly index: number;
  readonly kind: "pointer" | "float" | "integer";
}

/** Space to work in, wherever it lies: no result depends on it. */
const SPACE = "scratch";

const CHECKS: readonly Check[] = [
  ...CASES.map((opCase): Check => (kernels, memory) =>
    checkCase(new WasmBackend(memory, kernels), opCase, WASM_ROUNDINGS)
  ),
  (kernels, memory) => Promise.resolve(checkExponential(kernels, memory)),
];

function readParameters(header: string): Parameter[] {
  return [...header.matchAll(/^void (\w+)\(([^)]*)\);/gm)].flatMap(([, kernel = "", list = ""]) =>
    list.split(",").map((text, index) => {
      const kind = text.includes("*") ? "pointer" : text.includes("float") ? "float" : "integer";
      return { kernel, name: /\w+$/.exec(text)![0], index, kind };
    })
  );
}

/** A value beside the right one. A pointer that may be absent stays so. */
function wrong(kind: Parameter["kind"], value: number): number {
  switch (kind) {
    case "pointer":
      return value === 0 ? 0 : value + 4;
    case "float":
      return value + 0.01;
    case "integer":
      return value === 0 ? 1 : value - 1;
  }
}

/** `kernels` with every call of one of them changed. */
function replaced(kernels: KernelsExports, name: string, change: (right: Kernel) => Kernel): KernelsExports {
  return { ...kernels, [name]: change(kernels[name as keyof KernelsExports] as unknown as Kernel) };
}

/** Runs a check and frees what it allocated. */
async function run(check: Check, kernels: KernelsExports, memory: Memory<KernelsExports>): Promise<void> {
  const mark = memory.mark();
  try {
    await check(kernels, memory);
  } finally {
    memory.release(mark);
  }
}

/** The checks that call each of the kernels. */
async function checksByKernel(names: readonly string[], memory: Memory<KernelsExports>): Promise<Map<string, Check[]>> {
  const checks = new Map(names.map((name): [string, Check[]] => [name, []]));
  for (const check of CHECKS) {
    const called = new Set<string>();
    const watched = names.reduce((kernels, name) =>
      replaced(kernels, name, (right) => (...values) => {
        called.add(name);
        right(...values);
      }), memory.kernels);
    await run(check, watched, memory);
    called.forEach((name) => checks.get(name)!.push(check));
  }
  return checks;
}

/** Whether one of the checks fails, or a kernel traps, where a parameter is wrong in every call. */
async function isSeen(
  { kernel, index, kind }: Parameter,
  checks: readonly Check[],
  memory: Memory<KernelsExports>,
): Promise<boolean> {
  const planted = replaced(memory.kernels, kernel, (right) => (...values) => {
    right(...values.with(index, wrong(kind, values[index]!)));
  });
  for (const check of checks) {
    try {
      await run(check, planted, memory);
    } catch (error) {
      if (error instanceof assert.AssertionError || error instanceof WebAssembly.RuntimeError) return true;
      throw error;
    }
  }
  return false;
}

Deno.test("any argument of any kernel that is wrong fails a check", async () => {
  const memory = await Memory.load<KernelsExports>(url, true);
  const header = await Deno.readTextFile(new URL("./kernels.h", url));
  const exports = KERNELS.map(({ name }) => name);
  const parameters = readParameters(header).filter(({ name }) => name !== SPACE);
  assert.deepEqual(new Set(parameters.map(({ kernel }) => kernel)), new Set(exports));
  const checks = await checksByKernel(exports, memory);
  for (const parameter of parameters) {
    const { kernel, name } = parameter;
    assert.ok(await isSeen(parameter, checks.get(kernel)!, memory), `no check sees a wrong ${name} of ${kernel}`);
  }
});
