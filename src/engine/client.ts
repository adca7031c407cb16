/** The engine as the process sees it: open it, ask it for tokens, close it. */
import type {
  EngineInfo,
  EngineOptions,
  EngineStatus,
  FromEngine,
  PoolEngineOptions,
  StepReport,
  ToEngine,
} from "../pipeline/messages.ts";
import type { GeneratedToken, GenerateRequest, ScoreRequest, ScoreRows } from "../pipeline/requests.ts";
import {
  EngineBusyError,
  EngineError,
  EngineGrammarError,
  EngineUnavailableError,
  TooLongError,
} from "./engine_error.ts";
import { type EngineHost, EngineWorkers } from "./engine_workers.ts";
import { Exchange, type GenerateResult } from "./exchange.ts";
import { PoolWorker } from "./pool_worker.ts";

export interface EngineHooks {
  onProgress?(loadedBytes: number, totalBytes: number): void;
  /** Hears every step, if the options ask for a profile. */
  onStep?(report: StepReport): void;
  /** Hears what an engine over a pool waits for, in one sentence, and null when it is there; also after it was opened. */
  onWaiting?(what: string | null): void;
  /** Folder of the workers' entries: engine.ts, stage.ts, thread.ts and pool.ts. */
  readonly workers?: URL;
  /** Gives up opening. */
  readonly signal?: AbortSignal;
}

/** The tokens of an answer as they come, to be iterated once. Leaving the iteration early aborts the request. */
export interface Generation extends AsyncIterable<GeneratedToken> {
  /** Rejects with the EngineError that the iteration throws. */
  readonly result: Promise<GenerateResult>;
}

/** Milliseconds that an engine has to end its stages in order before its worker is ended by force. */
const CLOSE_MILLIS = 5000;

/** Milliseconds that a worker's own last words may take longer than the news that it is gone. */
const LAST_WORDS_MILLIS = 200;

export class EngineClient implements AsyncDisposable {
  readonly #workers: EngineHost;
  readonly #generations = new Map<number, Exchange<GeneratedToken>>();
  readonly #scorings = new Map<number, Exchange<ScoreRows>>();
  readonly #asked: PromiseWithResolvers<EngineStatus>[] = []; // answered in order
  readonly #listening: Promise<void>;
  readonly #most: number; // requests that run and wait
  #requests = 0;
  #failure: EngineError | null = null; // of the whole engine

  private constructor(
    workers: EngineHost,
    readonly info: EngineInfo,
    maxWaiting: number,
    readonly onStep: NonNullable<EngineHooks["onStep"]>,
  ) {
    this.#workers = workers;
    this.#most = info.slots + maxWaiting;
    this.#listening = this.#listen();
    workers.lost().then((reason) => this.#failAll(new EngineError(`The engine stopped: ${reason}`)));
  }

  /**
   * Starts an engine and waits until its model is loaded.
   * @throws EngineError with the engine's reason; if the signal aborts, the signal's.
   */
  static async open(options: EngineOptions, hooks: EngineHooks = {}): Promise<EngineClient> {
    const { signal, onProgress = () => {} } = hooks;
    signal?.throwIfAborted();
    const entries = { engine: entry("engine", hooks), stage: entry("stage", hooks), thread: entry("thread", hooks) };
    const workers = new EngineWorkers(options, entries, onProgress);
    const { devices = 1, context, slots } = options;
    const opened = workers.opened().then((stages) => {
      return { stages, devices, context, slots, vocabulary: stages[0]!.vocabulary };
    });
    return await EngineClient.#whenOpen(workers, opened, options, hooks);
  }

  /**
   * Starts an engine whose stages are members of a pool, as `pool` says, and waits until they have all layers.
   * @throws as open() does
   */
  static async join<Pool>(pool: Pool, options: PoolEngineOptions, hooks: EngineHooks = {}): Promise<EngineClient> {
    const { signal, onWaiting = () => {} } = hooks;
    signal?.throwIfAborted();
    const worker = new PoolWorker(entry("pool", hooks), pool, options, onWaiting);
    return await EngineClient.#whenOpen(worker, worker.opened(), options, hooks);
  }

  static async #whenOpen(
    workers: EngineHost,
    opened: Promise<EngineInfo>,
    { maxWaiting = Infinity }: PoolEngineOptions,
    { signal, onStep = () => {} }: EngineHooks,
  ): Promise<EngineClient> {
    const giveUp = () => workers[Symbol.asyncDispose]();
    signal?.addEventListener("abort", giveUp);
    try {
      return new EngineClient(workers, await opened, maxWaiting, onStep);
    } catch (error) {
      await giveUp();
      signal?.throwIfAborted();
      throw new EngineError((error as Error).message);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Why the whole engine can do nothing any more, or null. */
  get failure(): EngineError | null {
    return this.#failure;
  }

  /**
   * Starts an answer. If `signal` aborts, it ends and its result's `finish` is "abort". Where as many wait as may, it fails
   * with an EngineBusyError: here and at once, for nobody else sends to the engine.
   */
  generate(request: GenerateRequest, signal?: AbortSignal): Generation {
    const exchange = new Exchange<GeneratedToken>();
    const id = this.#requests++;
    const abort = () => this.#abort(id);
    this.#start(this.#generations, exchange, { type: "generate", id, request });
    listen(signal, abort, exchange);
    return { result: exchange.result, [Symbol.asyncIterator]: () => exchange.iterate(abort) };
  }

  /** Scores a text, to be iterated once. If `signal` aborts, the iteration throws its reason; leaving it aborts too. */
  score(request: ScoreRequest, signal?: AbortSignal): AsyncIterable<ScoreRows> {
    const exchange = new Exchange<ScoreRows>();
    const id = this.#requests++;
    this.#start(this.#scorings, exchange, { type: "score", id, request });
    listen(signal, () => this.#abort(id, signal?.reason), exchange);
    return { [Symbol.asyncIterator]: () => exchange.iterate(() => this.#abort(id)) };
  }

  /** What the engine is doing, heard between two steps. */
  status(): Promise<EngineStatus> {
    if (this.#failure) return Promise.reject(this.#failure);
    const asked = Promise.withResolvers<EngineStatus>();
    this.#asked.push(asked);
    this.#workers.send({ type: "status" });
    return asked.promise;
  }

  /** Ends the engine and its workers; what it had not finished fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failAll(new EngineError("The engine was closed"));
    this.#workers.send({ type: "close" });
    const force = setTimeout(() => this.#workers[Symbol.asyncDispose](), CLOSE_MILLIS);
    await this.#listening;
    clearTimeout(force);
    await this.#workers[Symbol.asyncDispose]();
  }

  #start<T>(
    exchanges: Map<number, Exchange<T>>,
    exchange: Exchange<T>,
    message: Extract<ToEngine, { id: number }>,
  ): void {
    if (this.#failure) return exchange.fail(this.#failure);
    if (this.#generations.size + this.#scorings.size >= this.#most) {
      return exchange.fail(new EngineBusyError(this.#full));
    }
    exchanges.set(message.id, exchange);
    this.#workers.send(message);
  }

  get #full(): string {
    return `Cannot take another request: ${this.#most - this.info.slots} are waiting already. Try again in a moment`;
  }

  #abort(id: number, reason: Error | null = null): void {
    const exchange = this.#generations.get(id) ?? this.#scorings.get(id);
    if (!exchange) return;
    exchange.items.clear(reason);
    this.#workers.send({ type: "abort", id });
  }

  async #listen(): Promise<void> {
    for await (const messages of this.#workers) {
      for (const message of messages) this.#hear(message);
    }
    this.#failSoon("The engine stopped: its worker ended without a word");
  }

  #hear(message: FromEngine): void {
    switch (message.type) {
      case "token":
        this.#generations.get(message.id)?.items.push(message.token);
        break;
      case "scored":
        this.#scorings.get(message.id)?.items.push(message.rows);
        break;
      case "step":
        this.onStep(message.report);
        break;
      case "status":
        this.#asked.shift()?.resolve(message.status);
        break;
      case "finished":
        this.#take(message.id)?.finish({ finish: message.finish, stats: message.stats });
        break;
      case "tooLong":
        this.#take(message.id)?.fail(new TooLongError(message.reason));
        break;
      case "failed":
        if (message.id === null) this.#failSoon(message.reason);
        else this.#take(message.id)?.fail(errorOf(message));
        break;
      default:
        message satisfies never;
    }
  }

  #take(id: number): Exchange<GeneratedToken> | Exchange<ScoreRows> | undefined {
    const exchange = this.#generations.get(id) ?? this.#scorings.get(id);
    this.#generations.delete(id);
    this.#scorings.delete(id);
    return exchange;
  }

  #failSoon(reason: string): void {
    const timer = setTimeout(() => this.#failAll(new EngineError(reason)), LAST_WORDS_MILLIS);
    this.#workers.lost().then(() => clearTimeout(timer));
  }

  #failAll(failure: EngineError): void {
    this.#failure ??= failure;
    for (const id of [...this.#generations.keys(), ...this.#scorings.keys()]) this.#take(id)?.fail(failure);
    for (const asked of this.#asked.splice(0)) asked.reject(failure);
  }
}

/** The entry of a kind of worker. */
const entry = (name: string, { workers = new URL("../../workers/", import.meta.url) }: EngineHooks): URL =>
  new URL(`${name}.ts`, workers);

function errorOf({ reason, grammar, unavailable }: Extract<FromEngine, { type: "failed" }>): EngineError {
  if (unavailable) return new EngineUnavailableError(reason);
  return grammar ? new EngineGrammarError(reason) : new EngineError(reason);
}

/** Calls `abort` if the signal aborts before the exchange has ended. */
function listen<T>(signal: AbortSignal | undefined, abort: () => void, exchange: Exchange<T>): void {
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const unlisten = () => signal?.removeEventListener("abort", abort);
  exchange.result.then(unlisten, unlisten);
}
