/** A queue between those who push and one who iterates; leaving the iteration and taking it up again loses nothing. */

export class Inbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #waiters: PromiseWithResolvers<IteratorResult<T, undefined>>[] = [];
  #ended = false;
  #error: Error | null = null;

  /** Ignored once the inbox has ended. */
  push(item: T): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve({ done: false, value: item });
    else this.#items.push(item);
  }

  /** Lets the iteration end after what was pushed, with `error` if there is one. Only the first end counts. */
  end(error: Error | null = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      if (error) waiter.reject(error);
      else waiter.resolve({ done: true, value: undefined });
    }
  }

  /** As end(), but at once, without what was pushed and not yet taken. */
  clear(error: Error | null = null): void {
    this.#items.length = 0;
    this.end(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#items.length > 0) return Promise.resolve({ done: false, value: this.#items.shift()! });
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const waiter = Promise.withResolvers<IteratorResult<T, undefined>>();
    this.#waiters.push(waiter);
    return waiter.promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return { next: () => this.next() };
  }
}
