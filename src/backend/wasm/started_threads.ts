/** Threads for backends in the process itself; an engine starts those of its stages (engine/thread_worker.ts). */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { OpenThread } from "../../pipeline/messages.ts";

/** Workers that compute for one backend after the other. */
export class StartedThreads implements AsyncDisposable {
  readonly #workers: readonly Worker[];

  constructor(count: number) {
    const entry = new URL("../../../workers/thread.ts", import.meta.url);
    this.#workers = Array.from({ length: count }, () => new Worker(entry));
  }

  /** What leads to them, for one backend. */
  ports(): MessagePort[] {
    return this.#workers.map((worker) => {
      const { port1, port2: port } = new MessageChannel();
      worker.postMessage({ type: "open", port } satisfies OpenThread, [port]);
      return port1;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
