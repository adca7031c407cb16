/** An engine over a real model's stages in this thread, asked for answers. */
import { setImmediate } from "node:timers/promises";
import { Engine } from "../../src/engine/engine.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import type { EngineStatus, FromEngine } from "../../src/pipeline/messages.ts";
import type { GeneratedToken, GenerateRequest, GenerateStats } from "../../src/pipeline/requests.ts";
import type { TestedBackend } from "../backend/backends.ts";
import { cut, Stages } from "../model/stages.ts";
import { openTiny } from "../model/tiny.ts";
import { joinStages } from "../pipeline/joined_stages.ts";

/** Positions of a page, at multiples of which states are kept. */
const PAGE = 256;
export const VOCABULARY = 96;

export interface ModelEngineOptions {
  /** Each on a device of its own. */
  readonly stages?: number;
  readonly maxRows?: number;
  readonly slots?: number;
  readonly context?: number;
  /** Of the prefix cache. */
  readonly snapshots?: number;
  readonly cachedPages?: number;
  /** Of its second tier; there is none by default. */
  readonly host?: { readonly states: number; readonly pages: number };
  /** Of all that the stages have; as many as may be wanted by default. */
  readonly pages?: number;
  /** Whether the engine knows how many. */
  readonly known?: boolean;
  readonly deterministic?: boolean;
}

export interface Answer {
  readonly tokens: readonly GeneratedToken[];
  readonly stats: GenerateStats;
}

interface Asked {
  readonly tokens: GeneratedToken[];
  readonly ended: PromiseWithResolvers<Answer>;
}

export class ModelEngine implements AsyncDisposable {
  readonly #asked = new Map<number, Asked>();
  #status: EngineStatus | null = null;
  readonly #engine: Engine;
  readonly #end: () => Promise<void>;
  #id = 0;

  private constructor(engine: (hear: (message: FromEngine) => void) => Engine, end: () => Promise<void>) {
    this.#engine = engine((message) => this.#hear(message));
    const stopped = this.#engine.run(() => setImmediate());
    this.#end = async () => {
      this.#engine.stop();
      await stopped;
      await end();
    };
  }

  static async open(backend: TestedBackend, options: ModelEngineOptions): Promise<ModelEngine> {
    const { stages = 1, slots = 1, context = 2048, cachedPages = 0, deterministic = false } = options;
    const { pages = slots * Math.ceil(context / PAGE) + cachedPages } = options;
    const { folder } = await openTiny("base");
    const kept = options.snapshots ?? 0;
    const snapshots = kept + (stages === 1 ? 2 * Math.min(slots, 8) : 0);
    const sizes = { slots, context, maxRows: options.maxRows ?? 512, snapshots, pages };
    const models = await Stages.open(folder, backend.open, { layers: cut(6, stages), ...sizes });
    const { pipeline } = joinStages(models.models, "local");
    const sampler = await Sampler.create(VOCABULARY);
    const { host } = options;
    const bytes = { stateBytes: 1, pageBytes: 2 ** 23 }; // two pages are copied at once
    const prefixCache = { alignment: PAGE, snapshots: kept, pages: cachedPages, ...bytes, ...(host && { host }) };
    const devices = { stages, devices: stages, keptLogits: stages - 1 };
    const limits = { ...sizes, ...devices, vocabulary: VOCABULARY, prefixCache, deterministic, chainsFollow: true };
    if (options.known === false) limits.pages = Infinity;
    return new ModelEngine((hear) => new Engine(pipeline, sampler, limits, hear), async () => {
      await pipeline[Symbol.asyncDispose]();
      models[Symbol.dispose]();
    });
  }

  /** What the engine says of itself. */
  get status(): EngineStatus {
    this.#engine.tellStatus();
    return this.#status!;
  }

  /** Waits until all is copied to the host's memory that will be. */
  async copied(): Promise<void> {
    const bytes = () => this.status.prefixCache.host.bytes;
    for (let last = -1, turns = 0; turns < 20; turns++) {
      await setImmediate();
      if (bytes() !== last) [last, turns] = [bytes(), 0];
    }
  }

  /** Asks; with `aborts` the request is left soon. */
  async answer(request: GenerateRequest, aborts = false): Promise<Answer> {
    const id = ++this.#id;
    const ended = Promise.withResolvers<Answer>();
    this.#asked.set(id, { tokens: [], ended });
    this.#engine.generate(id, request);
    if (aborts) {
      await setImmediate();
      this.#engine.abort(id);
    }
    return await ended.promise;
  }

  #hear(message: FromEngine): void {
    if (message.type === "status") this.#status = message.status;
    if (message.type === "scored" || message.type === "step" || message.type === "status") return;
    const { tokens, ended } = this.#asked.get(message.id!)!;
    if (message.type === "token") tokens.push(message.token);
    if (message.type === "finished") ended.resolve({ tokens, stats: message.stats });
    if (message.type === "failed" || message.type === "tooLong") ended.reject(new Error(message.reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
