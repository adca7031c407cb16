/** The worker of an engine whose stages are other processes, as its process sees it. */
import { MessageChannel, Worker } from "node:worker_threads";
import { type Link, portLink } from "../pipeline/link.ts";
import type { EngineInfo, FromEngine, OpenPool, PoolEngineOptions, PoolEvent, ToEngine } from "../pipeline/messages.ts";
import type { EngineHost } from "./engine_workers.ts";

/** Time to leave the pool in order. */
const LEAVE_MILLIS = 3000;

export class PoolWorker<Pool> implements EngineHost {
  readonly #worker: Worker;
  readonly #link: Link<readonly FromEngine[], ToEngine>;
  readonly #sent = new Uint32Array(new SharedArrayBuffer(4));
  readonly #opened = Promise.withResolvers<EngineInfo>();
  readonly #ended = Promise.withResolvers<string>();
  readonly #left = Promise.withResolvers<void>();

  constructor(entry: URL, pool: Pool, options: PoolEngineOptions, onWaiting: (what: string | null) => void) {
    const { port1, port2: port } = new MessageChannel();
    this.#link = portLink(port1);
    this.#worker = new Worker(entry);
    this.#worker.on("message", (event: PoolEvent) => this.#hear(event, onWaiting));
    this.#worker.on("error", (error) => this.#end(error.message));
    this.#worker.on("exit", () => this.#end("its worker ended without a word"));
    const open: OpenPool<Pool> = { type: "open", pool, options, port, sent: this.#sent.buffer };
    this.#worker.postMessage(open, [port]);
  }

  /** Rejects with the reason if it cannot be opened. */
  opened(): Promise<EngineInfo> {
    return this.#opened.promise;
  }

  lost(): Promise<string> {
    return this.#ended.promise;
  }

  send(message: ToEngine): void {
    this.#link.send(message);
    Atomics.add(this.#sent, 0, 1);
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly FromEngine[]> {
    return this.#link[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.send({ type: "close" });
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, LEAVE_MILLIS);
    await Promise.race([this.#left.promise, this.#ended.promise, late.promise]);
    clearTimeout(timer);
    this.#link[Symbol.dispose]();
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
