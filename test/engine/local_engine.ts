/** An engine over fake stages in this thread, with what it says kept per request. */
import { setImmediate } from "node:timers/promises";
import { Engine } from "../../src/engine/engine.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import type { EngineStatus, FromEngine, PrefixCacheOptions } from "../../src/pipeline/messages.ts";
import type { Runner } from "../../src/pipeline/runner.ts";
import type { EngineFinish, GenerateRequest, GenerateStats, ScoreRows } from "../../src/pipeline/requests.ts";
import { joinFakes, type Joint } from "../pipeline/joined_stages.ts";
import { type FakeBehaviour, VOCABULARY } from "../stage/fake_stage.ts";

export const GREEDY = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 1,
} as const;

/** A greedy request that nothing but `maxTokens` ends. */
export function request(prompt: readonly number[], changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    prompt: Uint32Array.from(prompt),
    maxTokens: 8,
    stopTokens: [],
    sampling: GREEDY,
    logprobs: null,
    thinking: null,
    ...changes,
  };
}

/** All that became of one request. */
export class Outcome {
  readonly tokens: number[] = [];
  readonly rows: ScoreRows[] = [];
  readonly ended = Promise.withResolvers<void>();
  finish: EngineFinish | null = null;
  stats: GenerateStats | null = null;
  reason: string | null = null;
}

interface LocalOptions {
  readonly stages?: number;
  /** That the stages are on; each on its own by default. */
  readonly devices?: number;
  readonly joint?: Joint;
  readonly slots?: number;
  /** Sequences that the device may go on with. */
  readonly snapshots?: number;
  readonly prefixCache?: PrefixCacheOptions;
  /** That the engine may count on. */
  readonly pages?: number;
  readonly context?: number;
  readonly maxRows?: number;
  /** Sequences that decode in one step; all by default. */
  readonly decodeRows?: number;
  readonly behaviour?: FakeBehaviour;
  /** Steps between two turns of the event loop; with several stages as many as these are under way together. 1 by default. */
  readonly stepsPerTurn?: number;
  /** What runs its steps in place of one pipeline, by pipelines of fakes that it makes. */
  readonly through?: (join: () => ReturnType<typeof joinFakes>) => Runner;
}

/** An engine of three layers; disposing ends its loop and its stages. */
export class LocalEngine implements AsyncDisposable {
  readonly #outcomes = new Map<number, Outcome>();
  readonly #stopped: Promise<void>;
  readonly pipeline;
  readonly models;
  readonly engine: Engine;
  /** What it says of itself when it is asked. */
  status: EngineStatus | null = null;
  /** Why the whole engine failed. */
  failure: string | null = null;

  private constructor(sampler: Sampler, options: LocalOptions) {
    const { stages = 1, joint = "local", slots = 1, context = 100, maxRows = 16, behaviour = {} } = options;
    const { devices = stages } = options;
    const keptLogits = devices === 1 ? 0 : stages - 1;
    const join = () => joinFakes({ stages, joint, slots, behaviour, keptLogits });
    const { pipeline, models } = join();
    const runner = options.through?.(join) ?? pipeline;
    const { prefixCache = { alignment: 1, snapshots: 0, pages: 0 } } = options;
    const kept = (options.snapshots ?? 0) + prefixCache.snapshots;
    const limits = {
      slots,
      context,
      maxRows,
      stages,
      devices,
      keptLogits,
      vocabulary: VOCABULARY,
      snapshots: kept,
      prefixCache,
      chainsFollow: true,
      ...(options.pages !== undefined && { pages: options.pages }),
      ...(options.decodeRows !== undefined && { decodeRows: options.decodeRows }),
    };
    this.pipeline = pipeline;
    this.models = models;
    this.engine = new Engine(runner, sampler, limits, (message) => this.#hear(message));
    let steps = 0;
    this.#stopped = this.engine.run(async () => {
      if (++steps % (options.stepsPerTurn ?? 1) === 0) await setImmediate();
    });
  }

  static async open(options: LocalOptions = {}): Promise<LocalEngine> {
    return new LocalEngine(await Sampler.create(VOCABULARY), options);
  }

  outcome(id: number): Outcome {
    return this.#outcomes.get(id) ?? this.#outcomes.set(id, new Outcome()).get(id)!;
  }

  /** Resolves when request `id` has finished or failed. */
  async end(id: number): Promise<Outcome> {
    await this.outcome(id).ended.promise;
    return this.outcome(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.engine.stop();
    await this.#stopped;
    await this.pipeline[Symbol.asyncDispose]();
  }

  #hear(message: FromEngine): void {
    switch (message.type) {
      case "token":
        this.outcome(message.id).tokens.push(message.token.id);
        break;
      case "scored":
        this.outcome(message.id).rows.push(message.rows);
        break;
      case "status":
        this.status = message.status;
        break;
      case "finished":
        this.outcome(message.id).finish = message.finish;
        this.outcome(message.id).stats = message.stats;
        this.outcome(message.id).ended.resolve();
        break;
      case "tooLong":
        this.outcome(message.id).reason = message.reason;
        this.outcome(message.id).ended.resolve();
        break;
      case "failed":
        if (message.id === null) {
          this.failure = message.reason;
          break;
        }
        this.outcome(message.id).reason = message.reason;
        this.outcome(message.id).ended.resolve();
    }
  }
}
