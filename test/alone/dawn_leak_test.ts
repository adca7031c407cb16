/** Nothing is left behind by steps on Dawn, whose module makes a function for every turn: the process's memory stays as it is. */
import { strict as assert } from "node:assert";
import { openEcho, ROWS } from "../backend/echo_step.ts";
import { dawnDevice, testOnDawn } from "../dawn/library.ts";

/** Until V8's heap has its size. */
const WARM_UP = 10_000;

const STEPS = 30_000;

/** What the garbage collector may let lie. A function kept for each turn, or a copy of what is read, would be more. */
const MOST_BYTES = 2 ** 26;

testOnDawn(`${STEPS} steps leave no memory behind`, async () => {
  const { backend, run } = await openEcho("dawn", await dawnDevice());
  const steps = async (count: number) => {
    for (let i = 0; i < count; i++) assert.deepEqual(await run(), ROWS);
  };
  await steps(WARM_UP);
  const before = Deno.memoryUsage().rss;
  await steps(STEPS);
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
  backend[Symbol.dispose]();
});
