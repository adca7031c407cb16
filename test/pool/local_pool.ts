/** A pool whose broker is real, and whose members are all in this process: stages of fakes, and an engine over them. */
import { setTimeout as pause } from "node:timers/promises";
import { Engine } from "../../src/engine/engine.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import { localLinks } from "../../src/pipeline/link.ts";
import type { FromEngine, StageInfo } from "../../src/pipeline/messages.ts";
import type { FromStage, ToStage } from "../../src/pipeline/steps.ts";
import { connectBroker } from "../../src/pool/connection.ts";
import { engineRoom, keptLogits } from "../../src/pool/engine_room.ts";
import { PoolStage } from "../../src/pool/pool_stage.ts";
import { inboxSubject, type StageCapacity, type StageOffer } from "../../src/pool/protocol.ts";
import { Session, type SessionOptions } from "../../src/pool/session.ts";
import { runStage } from "../../src/stage/stage.ts";
import { openWire } from "../../src/wire/open.ts";
import { Outcome } from "../engine/local_engine.ts";
import { NatsServer } from "../nats_server.ts";
import { FakeStage, STAGE_INFO, VOCABULARY } from "../stage/fake_stage.ts";
import { exampleOffer } from "./example_entries.ts";

export const DEPTH = 4;
const SIZE = 4; // positions of a page
const CAPACITY = { slots: 4, context: 300, maxRows: 8, keptLogits: 8, snapshots: 4, pages: 400, alignment: SIZE };
const MODEL = { ...exampleOffer("a").model, layers: DEPTH, hidden: 1, vocabulary: VOCABULARY };

export interface LocalStage extends AsyncDisposable {
  readonly id: string;
  /** Sequences, snapshots and steps that it has had. */
  readonly model: FakeStage;
  /** As if its process were killed. */
  kill(): Promise<void>;
}

export interface LocalServer extends AsyncDisposable {
  readonly session: Session;
  /** What it said that it waits for, in order. */
  readonly waits: (string | null)[];
  /** Resolves once it can be asked. */
  readonly engine: Promise<Engine>;
  outcome(id: number): Outcome;
  end(id: number): Promise<Outcome>;
}

export class LocalPool implements AsyncDisposable {
  readonly #members = new AsyncDisposableStack();
  #count = 0;

  private constructor(readonly broker: NatsServer, readonly direct: boolean) {}

  /** @param direct Whether members reach each other by connections of their own. */
  static async start({ direct = true } = {}): Promise<LocalPool> {
    return new LocalPool(await NatsServer.start(), direct);
  }

  async stage(first: number, last: number, change: Partial<StageOffer> = {}, capacity: Partial<StageCapacity> = {}) {
    const layers = { start: first, end: last + 1 };
    const offer = exampleOffer(`s${first}-${last}-${this.#count++}`, {
      ...{ layers, model: MODEL, info: { ...STAGE_INFO, layers } },
      capacity: { ...CAPACITY, ...capacity },
      ...change,
    });
    const { slots, keptLogits } = offer.capacity;
    const model = new FakeStage({ layers, slots, keptLogits }, layers.end === DEPTH);
    const [input, toModel] = localLinks<never, ToStage>();
    const [output, fromModel] = localLinks<ToStage | FromStage, never>();
    void runStage(model, toModel, fromModel).finally(() => fromModel[Symbol.dispose]());
    const stack = new AsyncDisposableStack();
    const { broker, wire } = await this.#reach(stack, "stage");
    const ended = new Promise<string>(() => {});
    const stage = await PoolStage.join({ broker, pool: "p", wire, offer, input, output, ended });
    const left = stack.move();
    let gone = false;
    const local: LocalStage = {
      ...{ id: offer.id, model },
      async kill() {
        gone = true;
        await left.disposeAsync();
      },
      async [Symbol.asyncDispose]() {
        await stage[Symbol.asyncDispose]();
        if (!gone) await left.disposeAsync();
        gone = true;
      },
    };
    return this.#members.use(local);
  }

  async server(more: Partial<SessionOptions> = {}): Promise<LocalServer> {
    const outcomes = new Map<number, Outcome>();
    const outcome = (id: number) => outcomes.get(id) ?? outcomes.set(id, new Outcome()).get(id)!;
    let [engine, running] = [null as Engine | null, Promise.resolve()];
    const waits: (string | null)[] = [];
    const session = await Session.join({
      ...{ nats: { url: this.broker.url }, pool: "p", model: MODEL, modelName: "fake", slots: 4, context: 300 },
      ...{ direct: this.direct ? { port: 0, hosts: ["127.0.0.1"] } : null, activations: "f32", timeoutMillis: 20_000 },
      ...more,
    }, {
      onWaiting: (what) => void waits.push(what),
      onLost: (lost) => engine?.lose(lost),
      load: () => engine?.status ?? { running: 0, waiting: 0 },
    });
    const open = async () => {
      const { room, stages } = await session.ready(new AbortController().signal);
      const infos: StageInfo[] = stages.map(({ info }) => info);
      const { pipeline } = session;
      const limits = {
        ...engineRoom({ room, stages: infos }),
        get keptLogits() {
          return keptLogits(room, infos.length, pipeline.sharing);
        },
      };
      engine = new Engine(pipeline, await Sampler.create(VOCABULARY), limits, (message) => hear(outcome, message));
      running = engine.run(() => pause(0));
      return engine;
    };
    const opened = open();
    opened.catch(() => {});
    return this.#members.use({
      ...{ session, waits, engine: opened, outcome },
      async end(id: number) {
        await outcome(id).ended.promise;
        return outcome(id);
      },
      async [Symbol.asyncDispose]() {
        engine?.stop();
        session.stop();
        await running;
        await session[Symbol.asyncDispose]();
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#members.disposeAsync();
    await this.broker[Symbol.asyncDispose]();
  }

  async #reach(stack: AsyncDisposableStack, role: "stage" | "server") {
    const broker = stack.use(await connectBroker({ url: this.broker.url }, role));
    const wire = stack.use(
      await openWire(broker.nats, {
        subject: (inbox) => inboxSubject("p", inbox),
        direct: this.direct ? { port: 0, hosts: ["127.0.0.1"] } : null,
        secure: broker.secure,
      }),
    );
    return { broker, wire };
  }
}

function hear(outcome: (id: number) => Outcome, message: FromEngine): void {
  if (message.type === "token") return void outcome(message.id).tokens.push(message.token.id);
  if (message.type === "scored") return void outcome(message.id).rows.push(message.rows);
  if (!("id" in message) || message.id === null) return;
  const heard = outcome(message.id);
  if (message.type === "finished") [heard.finish, heard.stats] = [message.finish, message.stats];
  else heard.reason = message.reason;
  heard.ended.resolve();
}
