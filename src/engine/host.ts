/** The engine in its worker: opens the first stage beside it, takes the process's requests, closes when asked to. */
import { nextTick } from "node:process";
import { setImmediate } from "node:timers/promises";
import { type Link, localLinks, portLink } from "../pipeline/link.ts";
import type { FromEngine, OpenEngine, StageEvent, StageInfo, StageOptions, ToEngine } from "../pipeline/messages.ts";
import type { FromStage, ToStage } from "../pipeline/steps.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { Engine } from "./engine.ts";
import { Sampler } from "./sampler.ts";

/** That the process is gone is seen within this time, though nothing was sent. */
const TURN_MILLIS = 50;

/** Runs a stage in this thread until either link ends. */
export type StartStage = (
  options: StageOptions,
  input: Link<ToStage, never>,
  output: Link<never, ToStage | FromStage>,
  report: (event: StageEvent) => void,
) => void;

/** Serves one process until it closes the engine or is gone. `report` hears what becomes of the engine and its stage. */
export async function serveEngine(
  { options, threadPorts = [], port, sent, further }: OpenEngine,
  startStage: StartStage,
  report: (event: StageEvent) => void,
): Promise<void> {
  using process = portLink<ToEngine, readonly FromEngine[]>(port);
  const [toFirst, input] = localLinks<never, ToStage>();
  const [results, output] = further
    ? [portLink<FromStage, never>(further.results), portLink<never, ToStage | FromStage>(further.output)]
    : localLinks<FromStage, never>();
  const stages = options.layers.length;
  await using pipeline = new Pipeline(toFirst, results, stages);
  try {
    const stage = { ...options, layers: options.layers[0]!, threadPorts };
    const info = await openStage(startStage, stage, [input, output], pipeline, report);
    if (!info) return;
    const { vocabulary, decodeRows = Infinity } = info;
    const limits = { ...options, stages, vocabulary, decodeRows };
    const engine = new Engine(
      pipeline,
      await Sampler.create(vocabulary, options.tokens),
      limits,
      batched((messages) => process.send(messages)),
    );
    report({ type: "opened", info });
    await converse(engine, process, new Uint32Array(sent));
  } catch (error) {
    report({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
}

/** Starts the first stage and waits until it is open; null if it fails. Its failure, then or later, breaks the pipeline. */
function openStage(
  startStage: StartStage,
  options: StageOptions,
  links: readonly [input: Link<ToStage, never>, output: Link<never, ToStage | FromStage>],
  pipeline: Pipeline,
  report: (event: StageEvent) => void,
): Promise<StageInfo | null> {
  return new Promise((resolve) =>
    startStage(options, ...links, (event) => {
      switch (event.type) {
        case "loading":
          return report(event);
        case "opened":
          return resolve(event.info);
        case "failed":
          report(event);
          pipeline.break(event.reason);
          return resolve(null);
        default:
          event satisfies never;
      }
    })
  );
}

/**
 * Sends what is said until the thread rests, such as all that a step brings, as one message. With a stage in this thread that is when
 * the next step is under way (Backend.run): a message takes some 20 µs, and the device would wait for its step as long.
 */
export function batched(send: (messages: readonly FromEngine[]) => void): (message: FromEngine) => void {
  let batch: FromEngine[] = [];
  return (message) => {
    if (batch.push(message) > 1) return;
    nextTick(() => {
      send(batch);
      batch = [];
    });
  };
}

/** Does what the process says until it closes the engine or is gone. */
export async function converse(engine: Engine, process: AsyncIterable<ToEngine>, sent: Uint32Array): Promise<void> {
  let received = 0;
  let lastTurn = performance.now();
  // Steps may follow each other without any rest, and then a turn of the event loop lets a message in only by chance: with
  // steps of 1 ms it took up to 30 turns. So it turns until all has arrived that was sent; and seldom besides, as it costs 50 µs.
  const running = engine.run(async () => {
    while (received < Atomics.load(sent, 0) || performance.now() - lastTurn > TURN_MILLIS) {
      await setImmediate();
      lastTurn = performance.now();
    }
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
    case "status":
      return engine.tellStatus();
    default:
      message satisfies never;
  }
}
