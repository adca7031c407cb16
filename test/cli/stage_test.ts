/** `ringlet stage` as processes on a real broker: joined by hand, over the real wire, to the bits of one process. */
import { strict as assert } from "node:assert";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Step } from "../../src/pipeline/steps.ts";
import { connectBroker } from "../../src/pool/connection.ts";
import { askStage } from "../../src/pool/control.ts";
import { Members } from "../../src/pool/membership.ts";
import { inboxSubject, PROTOCOL, type StageEntry } from "../../src/pool/protocol.ts";
import { fromStageCodec, toStageCodec } from "../../src/wire/codec.ts";
import { openWire } from "../../src/wire/open.ts";
import { Stages } from "../model/stages.ts";
import { freePort, testOnBroker } from "../nats_server.ts";
import { ringlet as inWorld } from "./fake_host.ts";
import { ran, ringlet } from "./process.ts";

const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;
const SMALL = ["--backend", "wasm", "--threads", "1", "--max-context", "512", "--max-sequences", "2"];

/** A stage in a process of its own, and what it says. */
class StageProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #said: Promise<void>;
  said = "";

  constructor(...args: string[]) {
    this.#process = ringlet("stage", ...SMALL, ...args);
    this.#said = this.#listen();
  }

  async says(pattern: RegExp): Promise<void> {
    for (let i = 0; i < 400; i++) {
      if (pattern.test(this.said)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail(`${pattern} was never said: ${this.said}`);
  }

  /** Its exit code. */
  async end(signal: Deno.Signal): Promise<number> {
    this.#process.kill(signal);
    await this.#said;
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#process.status;
    await this.#process.stdout.cancel();
    await this.#said;
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const part of this.#process.stderr) this.said += decoder.decode(part, { stream: true });
  }
}

const stagesOf = (members: Members) =>
  members.all.filter((member) => member.kind === "stage").map(({ entry }) => entry)
    .sort((a, b) => a.offer.layers.start - b.offer.layers.start);

async function wait(members: Members, done: () => boolean): Promise<void> {
  for await (const _ of members) if (done()) return;
  throw new Error("The watching ended");
}

/** What a server must know of stages to send them something. */
const roomOf = ({ offer: { capacity, model } }: StageEntry) => ({ ...capacity, ...model });

const stepOf = (id: number, start: number, rows: number): Step => ({
  ...{ id, segments: [{ slot: 1, start, rows }], outputs: Uint32Array.of(rows - 1) },
  deadline: 60_000,
});

testOnBroker("two stages that are joined give the bits of one process, and leave in order", async (server) => {
  await using broker = await connectBroker({ url: server.url }, "server");
  await using members = await Members.watch(broker.nats, "default");
  await using first = new StageProcess("--nats", server.url, "--layers", "0-4");
  await using second = new StageProcess("--nats", server.url, "--layers", "5-9", "--advertise", "127.0.0.1");
  await wait(members, () => stagesOf(members).length === 2);
  const stages = stagesOf(members);
  await first.says(
    /^Stage 0-4 of ring-nano on CPU \(WASM SIMD\) in pool default: .* a row, \d+ rows\/s .*2 x 512 tokens\n$/,
  );
  assert.deepEqual(stages.map(({ offer }) => offer.layers), [{ start: 0, end: 5 }, { start: 5, end: 10 }]);
  assert.deepEqual(stages[0]!.offer.model, stages[1]!.offer.model);

  const direct = { port: 0, hosts: ["127.0.0.1"] };
  const subject = (inbox: string) => inboxSubject("default", inbox);
  await using wire = await openWire(broker.nats, { subject, direct, secure: broker.secure });
  const ask = (i: number, request: Parameters<typeof askStage>[3]) =>
    askStage(broker.nats, "default", stages[i]!.offer.id, request, 5000);
  const join = { type: "join", protocol: PROTOCOL, session: "s", route: 1, activations: "f32" } as const;
  assert.match(JSON.stringify(await ask(0, { ...join, protocol: 9 })), /"refused".*version 1 .* version 9/);
  const [one, two] = [await ask(0, join), await ask(1, join)];
  assert.ok(one.type === "joined" && two.type === "joined");
  const back = await wire.receive(fromStageCodec(roomOf(stages[1]!)));
  const connect = { type: "connect", session: "s", route: 1 } as const;
  const hop = await ask(0, { ...connect, to: two.inbox, name: stages[1]!.offer.id });
  assert.deepEqual(hop, { type: "connected", transport: "tcp" });
  assert.deepEqual((await ask(1, { ...connect, to: back.offer, name: "server" })).type, "connected");
  const entry = await wire.connect(one.inbox, toStageCodec(roomOf(stages[0]!), "tokens", "f32"));
  await using pipeline = new Pipeline(entry.link, back.link, 2);

  using whole = await Stages.open(RING_NANO, () => WasmBackend.open(), { context: 512, slots: 2, maxRows: 256 });
  const prompt = Uint32Array.from({ length: 40 }, (_, i) => (i * 977 + 5) % 4000);
  for (const [id, tokens, start] of [[0, prompt, 0], [1, Uint32Array.of(7), 40]] as const) {
    const step = stepOf(id, start, tokens.length);
    assert.deepEqual(await pipeline.run(step, tokens), await whole.forward(step, tokens));
    assert.deepEqual(await pipeline.logits(id), await whole.lastLogits());
  }

  await first.says(/\nOn route 1 of server s, to \S+\n/);
  assert.equal(await second.end("SIGTERM"), 0);
  assert.match(second.said, /\nLeaving the pool\n/);
  await wait(members, () => stagesOf(members).length === 1);
  assert.equal(stagesOf(members)[0]!.offer.id, stages[0]!.offer.id);
  await first.says(/\nRoute 1 of server s ended: the link to \S+ ended\n/);
  await assert.rejects(pipeline.run(stepOf(2, 41, 1), Uint32Array.of(7)), /a stage ended without a word/);
});

testOnBroker("a stage waits for a broker that restarts, says so, and is in the pool again", async (server) => {
  await using stage = new StageProcess("--nats", server.url, "--layers", "0-0", "--pool", "other", "--no-direct");
  await stage.says(/in pool other/);
  await server.stop();
  await stage.says(/\nThe broker is away, trying again/);
  await server.restart();
  await stage.says(/\nThe broker is back\n/);
  await using broker = await connectBroker({ url: server.url }, "watch");
  await using members = await Members.watch(broker.nats, "other");
  await wait(members, () => stagesOf(members).length === 1);
  assert.equal(await stage.end("SIGINT"), 0);
});

Deno.test("a broker that nobody runs is said at once", async () => {
  const { code, err } = await ran("stage", "--nats", `nats://127.0.0.1:${freePort()}`, "--layers", "0-4", ...SMALL);
  assert.deepEqual([code, /^ringlet: Cannot connect to the broker at nats:\S+: nobody listens there\n$/.test(err)], [
    1,
    true,
  ], err);
});

Deno.test("wrong use of stage is said before anything is opened", async () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--layers", "0-9"], /Cannot join a pool without --nats/],
    [["--nats", "nats://x:1"], /required option '--layers <range>' not specified/],
    [["--nats", "nats://x:1", "--layers", "0-3,4-9"], /a range like 10-19/],
    [["--nats", "nats://x:1", "--layers", "0-9", "--pool", "a.b"], /letters, digits, "-" and "_"/],
    [["--nats", "http://x:1", "--layers", "0-9"], /like nats:\/\/host:4222/],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await inWorld(["stage", ...args]);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
});
