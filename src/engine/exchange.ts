/** One request of the process: what it has yielded so far and how it ended. */
import { Inbox } from "../pipeline/inbox.ts";
import type { EngineFinish, GenerateStats } from "../pipeline/requests.ts";

export interface GenerateResult {
  readonly finish: EngineFinish;
  readonly stats: GenerateStats;
}

export class Exchange<T> {
  readonly items = new Inbox<T>();
  readonly #result = Promise.withResolvers<GenerateResult>();

  constructor() {
    this.#result.promise.catch(() => {}); // whoever only iterates hears of a failure there
  }

  get result(): Promise<GenerateResult> {
    return this.#result.promise;
  }

  finish(result: GenerateResult): void {
    this.items.end();
    this.#result.resolve(result);
  }

  fail(error: Error): void {
    this.items.end(error);
    this.#result.reject(error);
  }

  /** Iterates once; `leave` is called when the iteration is left early. */
  iterate(leave: () => void): AsyncIterator<T, undefined> {
    return {
      next: () => this.items.next(),
      return: () => {
        leave();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}
