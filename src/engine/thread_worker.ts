/** A worker that computes for a stage beside its own, as the process sees it: started, watched, ended. */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { OpenThread } from "../pipeline/messages.ts";

export class ThreadWorker implements AsyncDisposable {
  /** The stage's end of what leads to it. */
  readonly port: MessagePort;
  readonly #worker: Worker;
  readonly #ended = Promise.withResolvers<string>();

  constructor(entry: URL) {
    const { port1, port2: port } = new MessageChannel();
    this.port = port1;
    this.#worker = new Worker(entry);
    this.#worker.on("error", (error) => this.#ended.resolve(error.message));
    this.#worker.on("exit", () => this.#ended.resolve("its thread ended without a word"));
    this.#worker.postMessage({ type: "open", port } satisfies OpenThread, [port]);
  }

  /** Resolves to the reason once the thread runs no more. */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
