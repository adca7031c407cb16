/** What others left for the moment at which the thread rests: it comes in every run. */
import { strict as assert } from "node:assert";
import { nextTick } from "node:process";
import { testOnBackends } from "./backends.ts";

testOnBackends("run() lets the thread rest", async ({ open }) => {
  using backend = await open();
  const hidden = backend.tensor("hidden", "f32", [1, 4]);
  const plan = backend.record({ rows: 1, segments: 1, outputs: 0 }, (ops) => ops.receive(hidden));
  const step = { segments: [{ slot: 0, start: 0, rows: 1 }], outputs: new Uint32Array(), rows: new Float32Array(4) };
  for (let i = 0; i < 5; i++) {
    let rested = false;
    nextTick(() => rested = true);
    await backend.run(plan, step, [{ tensor: hidden, elements: 4 }]);
    assert.ok(rested, `run ${i}`);
  }
});
