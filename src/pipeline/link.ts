/** A link carries messages one way or both: between workers over a MessagePort, within a thread without a copy. */

/** Sends `Out`, iterates over `In`. Disposing ends the iteration on both sides. */
export interface Link<In, Out> extends AsyncIterable<In>, Disposable {
  send(message: Out): void;
}
