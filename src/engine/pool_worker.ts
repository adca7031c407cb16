/** The worker of an engine whose stages are other processes, as its process sees it. */
import { Worker } from "node:worker_threads";
import type { EngineInfo, FromEngine, OpenPool, PoolEngineOptions, PoolEvent, ToEngine } from "../pipeline/messages.ts";
import { EnginePort } from "./engine_port.ts";
import type { EngineHost } from "./engine_workers.ts";

/** Time to leave the pool in order. */
const LEAVE_MILLIS = 3000;

export class PoolWorker<Pool> implements EngineHost {
  readonly #worker: Worker;
  readonly #port = new EnginePort();
  readonly #opened = Promise.withResolvers<EngineInfo>();
  readonly #ended = Promise.withResolvers<string>();
  readonly #left = Promise.withResolvers<void>();

  constructor(entry: URL, pool: Pool, options: PoolEngineOptions, onWaiting: (what: string | null) => void) {
    this.#worker = new Worker(entry);
    this.#worker.on("message", (event: PoolEvent) => this.#hear(event, onWaiting));
    this.#worker.on("error", (error) => this.#end(error.message));
    this.#worker.on("exit", () => this.#end("its worker ended without a word"));
    const open: OpenPool<Pool> = { type: "open", pool, options, ...this.#port.far };
    this.#worker.postMessage(open, [open.port]);
  }

  /** Rejects with the reason if it cannot be opened. */
  opened(): Promise<EngineInfo> {
    return this.#opened.promise;
  }

  lost(): Promise<string> {
    return this.#ended.promise;
  }

  send(message: ToEngine): void {
    this.#port.send(message);
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly FromEngine[]> {
    return this.#port[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.send({ type: "close" });
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LEAVE_MILLIS);
    await Promise.race([this.#left.promise, this.#ended.promise, late.promise]);
    clearTimeout(timer);
    this.#port[Symbol.dispose]();
    await this.#worker.terminate();
  }

  #hear(event: PoolEvent, onWaiting: (what: string | null) => void): void {
    switch (event.type) {
      case "waiting":
        return onWaiting(event.what);
      case "opened":
        return this.#opened.resolve(event.info);
      case "left":
        return this.#left.resolve();
      case "failed":
        this.#opened.reject(new Error(event.reason));
        return this.#end(event.reason);
      default:
        event satisfies never;
    }
  }

  #end(reason: string): void {
    this.#opened.reject(new Error(`Cannot open an engine: ${reason}`));
    this.#ended.resolve(reason);
  }
}
