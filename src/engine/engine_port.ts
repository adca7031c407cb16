/** What a process says to its engine's worker and hears of it; who steps without rest sees in shared memory that a message waits. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type Link, portLink } from "../pipeline/link.ts";
import type { FromEngine, ToEngine } from "../pipeline/messages.ts";

/** Disposing ends the iteration on both sides. */
export class EnginePort implements AsyncIterable<readonly FromEngine[]>, Disposable {
  /** The worker's end; it goes there once. */
  readonly far: { readonly port: MessagePort; readonly sent: SharedArrayBuffer };
  readonly #link: Link<readonly FromEngine[], ToEngine>;
  readonly #sent: Uint32Array;

  constructor() {
    const { port1, port2: port } = new MessageChannel();
    const sent = new SharedArrayBuffer(4);
    this.far = { port, sent };
    this.#link = portLink(port1);
    this.#sent = new Uint32Array(sent);
  }

  send(message: ToEngine): void {
    this.#link.send(message);
    Atomics.add(this.#sent, 0, 1);
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly FromEngine[]> {
    return this.#link[Symbol.asyncIterator]();
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }
}
