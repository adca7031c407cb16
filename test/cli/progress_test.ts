/** Progress of long work, by a clock that the tests set. */
import assert from "node:assert/strict";
import colors from "picocolors";
import { withProgress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

/** What is noted where no bar can be drawn, when so many of `total` bytes are done at these times. */
async function noted(total: number, events: readonly (readonly [millis: number, done: number])[]): Promise<string[]> {
  const notes: string[] = [];
  const terminal: Terminal = {
    ...{ interactive: false, live: false, paint: colors.createColors(false) },
    size: () => null,
    draw: () => assert.fail("progress is drawn on stderr"),
    note: (text) => void notes.push(text),
    write: () => assert.fail("progress is no output"),
    readAll: () => Promise.resolve(null),
    async *lines() {},
  };
  let millis = 0;
  await withProgress(
    terminal,
    "Loading",
    (onProgress) => {
      for (const [at, done] of events) {
        millis = at;
        onProgress(done, total);
      }
      return Promise.resolve();
    },
    () => millis,
  );
  return notes;
}

Deno.test("withProgress() tells share, size, pace and time left in lines, not too often, and is silent at first", async () => {
  const [GB, pace] = [1e9, 1.9];
  const seconds = Array.from({ length: 13 }, (_, i) => [1000 * i, pace * GB * i] as const);
  assert.deepEqual(await noted(32.8 * GB, seconds), [
    "Loading: 17 % of 32.8 GB, 1.9 GB/s, 15 s left\n",
    "Loading: 46 % of 32.8 GB, 1.9 GB/s, 10 s left\n",
  ]);
});

Deno.test("withProgress() goes by the pace of the last ten seconds", async () => {
  const fast = Array.from({ length: 10 }, (_, i) => [1000 * i, 1e9 * i] as const);
  const slow = Array.from({ length: 20 }, (_, i) => [10_000 + 1000 * i, 10e9 + 1e8 * i] as const);
  const notes = await noted(20e9, [...fast, ...slow]);
  assert.equal(notes[0], "Loading: 15 % of 20.0 GB, 1.0 GB/s, 17 s left\n");
  assert.equal(notes.at(-1), "Loading: 59 % of 20.0 GB, 100.0 MB/s, 82 s left\n");
});

Deno.test("withProgress() tells no pace before there is one, and long times in minutes", async () => {
  assert.deepEqual(await noted(1e12, [[3000, 1e9], [9000, 7e9]]), [
    "Loading: 0 % of 1.0 TB\n",
    "Loading: 0 % of 1.0 TB, 1.0 GB/s, 17 min left\n",
  ]);
});
