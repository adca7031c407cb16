/** Whole models by several threads: to the bit what one gives, and so what the reference program does (golden_test.ts). */
import { strict as assert } from "node:assert";
import { StartedThreads } from "../../src/backend/wasm/started_threads.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { Stages } from "./stages.ts";
import { openTiny, VARIANT_NAMES } from "./tiny.ts";

/** At once, token by token, in uneven pieces. */
const READINGS = [[1000], [1], [5, 33, 1, 2, 17]];

for (const variant of VARIANT_NAMES) {
  Deno.test(`forward() gives the same logits of ${variant} by 1, 2, 3, 4 and 9 threads`, async () => {
    const tiny = await openTiny(variant);
    const read = async (further: number) => {
      await using threads = new StartedThreads(further);
      using model = await Stages.open(tiny.folder, () => WasmBackend.open(threads.ports(), 1));
      const all: Float32Array[] = [];
      for (const reading of READINGS) all.push(await model.logits(tiny.tokens, reading));
      return all;
    };
    const alone = await read(0);
    for (const further of [1, 2, 3, 8]) assert.deepEqual(await read(further), alone, `${further + 1} threads`);
  });
}
