/** A link carries messages one way or both: between workers over a MessagePort, within a thread without a copy. */
import type { MessagePort } from "node:worker_threads";
import { Inbox } from "./inbox.ts";

/**
 * Sends `Out`, iterates over `In`. Disposing ends the iteration on both sides, as does the death of either side's thread;
 * what is sent after that is dropped. A Float32Array in a message is a tensor that its sender is done with: it moves to the
 * receiver with the whole buffer under it.
 */
export interface Link<In, Out> extends AsyncIterable<In>, Disposable {
  send(message: Out): void;
}

/**
 * The link through `port` to whoever holds the other port of its channel.
 * @throws TypeError if it is the web's port, which in Deno does not tell that its other end is gone.
 */
export function portLink<In, Out>(port: MessagePort): Link<In, Out> {
  if (!("on" in port)) throw new TypeError("Cannot link the web's MessagePort: use that of node:worker_threads");
  const inbox = new Inbox<In>();
  // Not port.on("message"), which looks for ports in every message, number by number.
  port.addEventListener("message", (event) => inbox.push((event as MessageEvent<In>).data));
  port.addEventListener("messageerror", () => port.close()); // rather no link than one that loses messages
  port.addEventListener("close", () => inbox.end());
  port.start();
  return {
    send: (message) => port.postMessage(message, [...tensorBuffers(message)]),
    [Symbol.asyncIterator]: () => inbox[Symbol.asyncIterator](),
    [Symbol.dispose]() {
      port.close();
      inbox.clear();
    },
  };
}

/** Both ends of a link within this thread. Messages pass by reference, in microtasks. */
export function localLinks<A, B>(): [Link<A, B>, Link<B, A>] {
  const left = new Inbox<A>();
  const right = new Inbox<B>();
  return [localLink(left, right), localLink(right, left)];
}

function localLink<In, Out>(own: Inbox<In>, other: Inbox<Out>): Link<In, Out> {
  return {
    send: (message) => other.push(message),
    [Symbol.asyncIterator]: () => own[Symbol.asyncIterator](),
    [Symbol.dispose]() {
      own.clear();
      other.end();
    },
  };
}

function tensorBuffers(value: unknown, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  if (typeof value !== "object" || value === null) return found;
  if (value instanceof Float32Array) {
    if (!(value.buffer instanceof ArrayBuffer)) {
      throw new TypeError("Cannot move a tensor out of shared memory: send a copy");
    }
    found.add(value.buffer);
  } else if (!ArrayBuffer.isView(value)) {
    for (const part of Object.values(value)) tensorBuffers(part, found);
  }
  return found;
}
