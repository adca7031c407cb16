/** The engine's side of the conversation, in this thread, with its process in a worker. */
import { strict as assert } from "node:assert";
import { MessageChannel, Worker } from "node:worker_threads";
import { serveEngine, type StartStage } from "../../src/engine/host.ts";
import type { FromEngine, StageEvent } from "../../src/pipeline/messages.ts";
import type { Step } from "../../src/pipeline/steps.ts";
import { serveStage } from "../../src/stage/stage.ts";
import { FakeStage, STAGE_INFO, STAGE_OPTIONS } from "../stage/fake_stage.ts";
import { request } from "./local_engine.ts";

/** Lines of a process that has a port to its engine, a count of the steps begun and a request to send. */
const processOf = (lines: string) => `
  import { parentPort } from "node:worker_threads";
  parentPort.once("message", ({ port, sent, begun, request }) => {
    const send = (message) => {
      port.postMessage(message);
      Atomics.add(sent, 0, 1);
    };
    ${lines}
  });`;

/** Asks for an answer, aborts it when 20 steps have begun, and tells how many had when the abort was sent. */
const ABORTING = processOf(`
  port.addEventListener("message", ({ data }) => data.some(({ type }) => type === "finished") && send({ type: "close" }));
  port.start();
  send({ type: "generate", id: 1, request });
  while (Atomics.load(begun, 0) < 20);
  send({ type: "abort", id: 1 });
  parentPort.postMessage(Atomics.load(begun, 0));`);

/** Asks for an answer and is gone when 20 steps have begun. */
const LEAVING = processOf(`
  send({ type: "generate", id: 1, request });
  while (Atomics.load(begun, 0) < 20);
  port.close();`);

/** Asks for an answer and closes the engine. */
const ASKING = processOf(`
  port.addEventListener("message", ({ data }) => data.some(({ type }) => type === "finished") && send({ type: "close" }));
  port.start();
  send({ type: "generate", id: 1, request });`);

/** Asks for three answers at once, tells the types and requests of each message that brings a token, and closes the engine. */
const COUNTING = processOf(`
  const heard = [];
  let left = 3;
  port.addEventListener("message", ({ data }) => {
    heard.push(data.map(({ type, id }) => type + id));
    left -= data.filter(({ type }) => type === "finished").length;
    if (left > 0) return;
    parentPort.postMessage(heard);
    send({ type: "close" });
  });
  port.start();
  for (const id of [1, 2, 3]) send({ type: "generate", id, request });`);

const TELLING = [ABORTING, COUNTING];

class CountedStage extends FakeStage {
  readonly begun = new Uint32Array(new SharedArrayBuffer(4));
  override forward(step: Step, input: Uint32Array | Float32Array) {
    Atomics.add(this.begun, 0, 1);
    return super.forward(step, input);
  }
}

Deno.test("serveEngine() takes an abort before the step after the one under way, though its thread never rests", async () => {
  for (const millis of [0.1, 1, 5]) {
    const { told: abortedAt, ran } = await converse<number>(ABORTING, { millis });
    assert.ok(ran <= abortedAt! + 1, `${ran} steps ran, the abort was sent in step ${abortedAt}`);
  }
});

Deno.test("serveEngine() ends when its process is gone, though its thread never rests", async () => {
  const { ran } = await converse(LEAVING, { millis: 1 });
  assert.ok(ran < 2000, `${ran} steps ran`);
});

Deno.test("serveEngine() sends what a step brings as one message, in the order of its sequences", async () => {
  const { told: heard } = await converse<string[][]>(COUNTING, { millis: 1, slots: 3, maxTokens: 60 });
  const tokens = ["token1", "token2", "token3"];
  assert.deepEqual(heard!.flat().filter((what) => what === "token2").length, 60);
  assert.ok(heard!.filter((what) => `${what}` === `${tokens}`).length >= 20, JSON.stringify(heard));
  for (const id of [1, 2, 3]) {
    assert.equal(heard!.flat().filter((what) => what.endsWith(`${id}`)).at(-1), `finished${id}`);
  }
});

Deno.test("serveEngine() tells of a token when the next step has begun, and does not wait for its end", async () => {
  const { stepsAtToken, ran } = await converse(ASKING, { maxTokens: 200 });
  assert.equal(ran, 200);
  assert.equal(stepsAtToken.length, 200);
  assert.ok(stepsAtToken.every((begun, i) => begun <= i + 2), `${stepsAtToken}`);
  const next = stepsAtToken.filter((begun, i) => begun === i + 2); // all but those before a turn of the event loop
  assert.ok(next.length >= 100, `${stepsAtToken}`);
});

/**
 * Serves a process in a worker until it ends; resolves to what it told this thread, if anything, the steps that ran, and how
 * many had begun when each token was sent.
 */
async function converse<T>(lines: string, { millis = 0.1, slots = 1, maxTokens = 4000 }) {
  const stage = new CountedStage({ layers: { start: 0, end: 1 }, slots }, true, { millis });
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(lines)}`));
  const { port1, port2 } = new MessageChannel();
  const stepsAtToken: number[] = [];
  const post = port1.postMessage.bind(port1);
  port1.postMessage = (messages: readonly FromEngine[], transfer) => {
    for (const { type } of messages) if (type === "token") stepsAtToken.push(stage.begun[0]!);
    post(messages, transfer);
  };
  const sent = new SharedArrayBuffer(4);
  const told = new Promise<T>((resolve) => worker.once("message", resolve));
  const task = request([1, 2, 3], { maxTokens });
  worker.postMessage({ port: port2, sent: new Uint32Array(sent), begun: stage.begun, request: task }, [port2]);
  const options = { ...STAGE_OPTIONS, layers: [{ start: 0, end: 1 }], context: 5000, slots };
  const start: StartStage = (...links) =>
    serveStage(() => Promise.resolve({ model: stage, info: STAGE_INFO }), ...links);
  const events: StageEvent[] = [];
  const opening = { type: "open", options, port: port1, sent, further: null } as const;
  await serveEngine(opening, start, (event) => events.push(event));
  assert.deepEqual(events.map(({ type }) => type), ["opened"]);
  assert.equal(stage.disposed, true);
  const result = { told: TELLING.includes(lines) ? await told : null, ran: stage.begun[0]!, stepsAtToken };
  await worker.terminate();
  return result;
}
