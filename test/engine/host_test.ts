/** The engine's side of the conversation, in this thread, with its process in a worker. */
import { strict as assert } from "node:assert";
import { MessageChannel, Worker } from "node:worker_threads";
import { serveEngine, type StartStage } from "../../src/engine/host.ts";
import type { StageEvent, Step } from "../../src/pipeline/messages.ts";
import { serveStage } from "../../src/stage/stage.ts";
import { FakeStage, STAGE_INFO, STAGE_OPTIONS } from "../stage/fake_stage.ts";
import { request } from "./local_engine.ts";

/** Asks for an answer, aborts it when 20 steps have begun, and tells how many had when the abort was sent. */
const PROCESS = `
  import { parentPort } from "node:worker_threads";
  parentPort.once("message", ({ port, sent, begun, request }) => {
    const send = (message) => {
      port.postMessage(message);
      Atomics.add(sent, 0, 1);
    };
    port.addEventListener("message", ({ data }) => data.some(({ type }) => type === "finished") && send({ type: "close" }));
    port.start();
    send({ type: "generate", id: 1, request });
    while (Atomics.load(begun, 0) < 20);
    send({ type: "abort", id: 1 });
    parentPort.postMessage(Atomics.load(begun, 0));
  });`;

class CountedStage extends FakeStage {
  readonly begun = new Uint32Array(new SharedArrayBuffer(4));
  override forward(step: Step, input: Uint32Array | Float32Array) {
    Atomics.add(this.begun, 0, 1);
    return super.forward(step, input);
  }
}

Deno.test("serveEngine() takes an abort before the step after the one under way, though its thread never rests", async () => {
  for (const millis of [0.1, 1, 5]) {
    const stage = new CountedStage({ layers: { start: 0, end: 1 }, slots: 1 }, true, { millis });
    const { worker, abortedAt, events } = await converse(stage);
    assert.deepEqual(events.map(({ type }) => type), ["opened"]);
    const ran = stage.begun[0]!;
    assert.ok(ran <= (await abortedAt) + 1, `${ran} steps ran, the abort was sent in step ${await abortedAt}`);
    assert.equal(stage.disposed, true);
    await worker.terminate();
  }
});

/** Serves the process in a worker until it closes the engine. */
async function converse(stage: CountedStage) {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(PROCESS)}`));
  const { port1, port2 } = new MessageChannel();
  const sent = new SharedArrayBuffer(4);
  const abortedAt = new Promise<number>((resolve) => worker.once("message", resolve));
  const task = request([1, 2, 3], { maxTokens: 4000 });
  worker.postMessage({ port: port2, sent: new Uint32Array(sent), begun: stage.begun, request: task }, [port2]);
  const options = { ...STAGE_OPTIONS, layers: [{ start: 0, end: 1 }], context: 5000 };
  const start: StartStage = (...links) =>
    serveStage(() => Promise.resolve({ model: stage, info: STAGE_INFO }), ...links);
  const events: StageEvent[] = [];
  const opening = { type: "open", options, port: port1, sent, further: null } as const;
  await serveEngine(opening, start, (event) => events.push(event));
  return { worker, abortedAt, events };
}
