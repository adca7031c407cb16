/** An error to plant in a kernel's text, and whether a case sees it. */
import { strict as assert } from "node:assert";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import type { GpuProvider } from "../../src/pipeline/messages.ts";
import { checkCase, type Standard } from "./cases.ts";
import type { OpCase } from "./op_case.ts";
import type { SharedDevice } from "./shared_device.ts";

/** In the kernel of that name, `right` becomes `wrong`; then one of the cases whose names match must fail. */
export interface Planted {
  readonly kernel: string;
  readonly right: string;
  readonly wrong: string;
  readonly cases: RegExp;
}

export const plant = (kernel: string, right: string, wrong: string, cases: RegExp): Planted => ({
  kernel,
  right,
  wrong,
  cases,
});

/** What errors are looked for with. */
export interface Search {
  readonly gpu: GpuProvider;
  readonly cases: readonly OpCase[];
  readonly standard?: Standard;
}

/** Whether some case fails on a device that compiles the kernel with its error. */
export async function isSeen(
  shared: SharedDevice,
  { kernel, right, wrong, cases: wanted }: Planted,
  { gpu, cases, standard }: Search,
): Promise<boolean> {
  const device = shared.view((label, code) => {
    if (label !== kernel) return code;
    // No assertion: that would pass for a case that fails.
    if (!code.includes(right)) throw new Error(`"${right}" is not in the text of ${kernel}`);
    return code.replaceAll(right, wrong);
  });
  using backend = await WebGpuBackend.open({ gpu, device });
  const chosen = cases.filter(({ name }) => wanted.test(name));
  assert.ok(chosen.length > 0, `no case matches ${wanted}`);
  for (const opCase of chosen) {
    try {
      await checkCase(backend, opCase, {}, standard);
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error;
      return true;
    }
  }
  return false;
}
