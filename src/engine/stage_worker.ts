/** A worker that holds a stage, with the threads that compute for it, as the process sees them: opened, watched, ended. None ends by itself unless it fails. */
import { type MessagePort, Worker } from "node:worker_threads";
import type { OpenEngine, OpenStage, StageEvent, StageInfo } from "../pipeline/messages.ts";
import type { ThreadWorker } from "./thread_worker.ts";

/**
 * Deno says that a worker has exited before its thread has let go of the GPU. A process that ends within that time was seen
 * to crash in NVIDIA's driver on an H100 every time, and never after this long a wait.
 */
const GPU_RELEASE_MILLIS = 1500;

export class StageWorker implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #opened = Promise.withResolvers<StageInfo>();
  readonly #onGpu: boolean;
  readonly #ended = Promise.withResolvers<string>();
  readonly #threads: readonly ThreadWorker[];

  constructor(
    entry: URL,
    message: OpenEngine | OpenStage,
    ports: readonly MessagePort[],
    threads: readonly ThreadWorker[],
    onProgress: (loadedBytes: number, totalBytes: number) => void,
  ) {
    this.#onGpu = message.options.backend === "webgpu";
    this.#threads = threads;
    for (const { ended } of threads) ended.then((reason) => this.#end(reason));
    this.#worker = new Worker(entry);
    this.#worker.on("message", (event: StageEvent) => this.#hear(event, onProgress));
    this.#worker.on("error", (error) => this.#end(error.message));
    this.#worker.on("exit", () => this.#end("its worker ended without a word"));
    this.#worker.postMessage(message, [...ports, ...threads.map(({ port }) => port)]);
  }

  /** Rejects with the stage's reason if it cannot be opened. */
  get opened(): Promise<StageInfo> {
    return this.#opened.promise;
  }

  /** Resolves to the reason once the stage runs no more. */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#worker.terminate(), ...this.#threads.map((thread) => thread[Symbol.asyncDispose]())]);
    if (this.#onGpu) await new Promise((resolve) => setTimeout(resolve, GPU_RELEASE_MILLIS));
  }

  #hear(event: StageEvent, onProgress: (loadedBytes: number, totalBytes: number) => void): void {
    switch (event.type) {
      case "loading":
        return onProgress(event.loadedBytes, event.totalBytes);
      case "opened":
        return this.#opened.resolve(event.info);
      case "failed":
        this.#opened.reject(new Error(event.reason));
        return this.#end(event.reason);
      default:
        event satisfies never;
    }
  }

  #end(reason: string): void {
    this.#opened.reject(new Error(`Cannot open a stage: ${reason}`));
    this.#ended.resolve(reason);
  }
}
