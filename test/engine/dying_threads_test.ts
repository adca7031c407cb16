/** Threads of WASM stages that die with a piece of work which nobody else will do: the engine says so, and nothing waits for them. */
import { strict as assert } from "node:assert";
import { EngineWorkers } from "../../src/engine/engine_workers.ts";
import { engineOptions } from "../../src/load/engine_options.ts";
import { EMBEDDED_MODEL } from "../../src/mod.ts";
import { stageConfig } from "../../src/stage/open.ts";
import { request } from "./local_engine.ts";

const ENTRIES = {
  engine: new URL("../../workers/engine.ts", import.meta.url),
  stage: new URL("../../workers/stage.ts", import.meta.url),
  thread: new URL("dying_thread.ts", import.meta.url),
};

/** Why two stages with so many threads each end, while they are opened or, if these come late, in a long answer. */
async function endOf(threads: number): Promise<string> {
  const config = await stageConfig({ model: EMBEDDED_MODEL, ropeScaling: null });
  const settings = { backend: "wasm", stages: 2, threads, maxContext: 4096 } as const;
  await using workers = new EngineWorkers(await engineOptions(settings, config), ENTRIES, () => {});
  try {
    await workers.opened();
  } catch (error) {
    return (error as Error).message;
  }
  workers.send({ type: "generate", id: 1, request: request(Array(100).fill(5), { maxTokens: 3900 }) });
  return await workers.lost();
}

Deno.test("a thread that dies at its first piece is named, and not waited for", async () => {
  assert.match(await endOf(2), /^(Cannot open a stage|stage [12] of 2 failed): its thread ended without a word$/);
});

Deno.test("a thread that dies in a later step is named with its stage, and not waited for", async () => {
  assert.match(await endOf(3), /^stage [12] of 2 failed: its thread ended without a word$/);
});
