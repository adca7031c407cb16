/**
 * Runs once more, on another provider's GPUs, every test file that computes on one, or those of some paths:
 * `deno run -A scripts/test_gpu.ts --gpu wgpu-native [PATH…]`.
 */
import { fileURLToPath } from "node:url";
import { GPU, MISSING, PATHS } from "../test/gpu.ts";
import { findGpuTests } from "../test/gpu_tests.ts";

const { onGpu } = await findGpuTests();
const files = onGpu.filter((file) => PATHS.length === 0 || PATHS.some((path) => file.startsWith(path)));
const left = MISSING ?? (files.length === 0 ? `none of them is in ${PATHS.join(", ")}` : null);
if (left === null) {
  const tests = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--quiet", "--parallel", ...files, "--", "--gpu", GPU],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { LP_NUM_THREADS: "0" },
  }).spawn();
  Deno.exit((await tests.status).code);
}
// deno-lint-ignore no-console -- a task tells on the terminal why it does nothing
console.log(`The tests on the GPUs of ${GPU} are left out: ${left}`);
