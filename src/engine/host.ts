/** The engine's side of its conversation with the process: opens the stages, takes requests, closes when asked to. */
import { setImmediate } from "node:timers/promises";
import type { Link } from "../pipeline/link.ts";
import type { EngineOptions, FromEngine, ToEngine } from "../pipeline/messages.ts";
import { openPipeline, type StageSources } from "../pipeline/stages.ts";
import { Engine } from "./engine.ts";
import { Sampler } from "./sampler.ts";

/**
 * Serves one process until it closes or is gone.
 * @param sent one u32 in shared memory: how many messages the process has sent.
 */
export async function serveEngine(
  options: EngineOptions,
  process: Link<ToEngine, FromEngine>,
  sent: SharedArrayBuffer,
  sources: StageSources,
): Promise<void> {
  using _process = process;
  try {
    await using opening = await openPipeline(
      options,
      sources,
      (loadedBytes, totalBytes) => process.send({ type: "loading", loadedBytes, totalBytes }),
    );
    const { pipeline, stages } = opening;
    const { slots, context, maxRows } = options;
    const { vocabulary } = stages[0]!;
    const limits = { slots, context, maxRows, vocabulary };
    const engine = new Engine(pipeline, await Sampler.create(vocabulary), limits, (message) => process.send(message));
    process.send({ type: "opened", info: { stages, context, slots, vocabulary } });
    await converse(engine, process, new Uint32Array(sent));
  } catch (error) {
    process.send({ type: "failed", id: null, reason: error instanceof Error ? error.message : String(error) });
  }
}

async function converse(engine: Engine, process: Link<ToEngine, FromEngine>, sent: Uint32Array): Promise<void> {
  let received = 0;
  // Steps may follow each other without any rest, and then one turn of the event loop lets a message in only by chance: with
  // steps of 1 ms it took up to 30. So it turns until all has arrived that was sent.
  const running = engine.run(async () => {
    do await setImmediate(); while (received < Atomics.load(sent, 0));
  });
  for await (const message of process) {
    received++;
    if (message.type === "close") break;
    take(engine, message);
  }
  received = Infinity;
  engine.stop();
  await running;
}

function take(engine: Engine, message: Exclude<ToEngine, { type: "close" }>): void {
  switch (message.type) {
    case "generate":
      return engine.generate(message.id, message.request);
    case "score":
      return engine.score(message.id, message.request);
    case "abort":
      return engine.abort(message.id);
    default:
      message satisfies never;
  }
}
