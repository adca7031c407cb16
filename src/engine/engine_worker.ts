/** An engine's worker as the process holds it: started, spoken to, ended. */
import { type Link, portLink } from "../pipeline/link.ts";
import type { EngineOptions, FromEngine, OpenEngine, ToEngine } from "../pipeline/messages.ts";

/** Iterates over the engine's messages, until the worker is gone. */
export class EngineWorker implements AsyncIterable<FromEngine>, Disposable {
  readonly #worker: Worker;
  readonly #link: Link<FromEngine, ToEngine>;
  readonly #sent = new Uint32Array(new SharedArrayBuffer(4));
  #lastWords = "its worker ended without a word";

  constructor(entry: URL, options: EngineOptions) {
    const { port1, port2 } = new MessageChannel();
    this.#link = portLink(port1);
    this.#worker = new Worker(entry, { type: "module" });
    this.#worker.onerror = (event) => {
      event.preventDefault(); // or else it would end the process too
      this.#lastWords = event.message;
      this[Symbol.dispose]();
    };
    const message: OpenEngine = { type: "open", options, port: port2, sent: this.#sent.buffer };
    this.#worker.postMessage(message, [port2]);
  }

  /** Why there are no more messages, for one who did not end them. */
  get lastWords(): string {
    return this.#lastWords;
  }

  send(message: ToEngine): void {
    this.#link.send(message);
    Atomics.add(this.#sent, 0, 1);
  }

  [Symbol.asyncIterator](): AsyncIterator<FromEngine> {
    return this.#link[Symbol.asyncIterator]();
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.#link[Symbol.dispose]();
  }
}
