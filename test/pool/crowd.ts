/** Clients that ask one question after the other, all at once, and look whether each answer is what it should be. */
import { ask, difference, type Question, type Reply } from "./streams.ts";

export class Crowd {
  readonly replies: { readonly reply: Reply; readonly wanted: Reply }[] = [];
  readonly #url: string;
  readonly #questions: readonly Question[];
  readonly #wanted: readonly Reply[];
  readonly #clients: Promise<unknown>;
  /** When each client heard something last. */
  readonly #heard: number[] = [];
  #next = 0;
  #leaving = false;

  /** @param wanted Replies to the questions of a server that nothing happens to. */
  constructor(url: string, streams: number, questions: readonly Question[], wanted: readonly Reply[]) {
    this.#url = url;
    this.#questions = questions;
    this.#wanted = wanted;
    this.#clients = Promise.all(Array.from({ length: streams }, (_, i) => this.#client(i)));
  }

  /** Lets all hear their answers out. */
  async leave(): Promise<void> {
    this.#leaving = true;
    await this.#clients;
  }

  /** Resolves once all clients have heard something after this. */
  async goesOn(): Promise<void> {
    const since = performance.now();
    while (this.#heard.some((at) => at < since)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** What is wrong with the answers so far, in a sentence each. */
  wrong(mayEnd: RegExp | null = null): readonly string[] {
    return this.replies.map(({ reply, wanted }) => fault(reply, wanted, mayEnd)).filter((one) => one !== null);
  }

  async #client(client: number): Promise<void> {
    const heard = () => void (this.#heard[client] = performance.now());
    heard();
    while (!this.#leaving) {
      const i = this.#next++ % this.#questions.length;
      const reply = await ask(this.#url, this.#questions[i]!, heard);
      heard();
      this.replies.push({ reply, wanted: this.#wanted[i]! });
      if (reply.error !== null) await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** What ends with an error that matches must be right up to there. */
function fault(reply: Reply, wanted: Reply, mayEnd: RegExp | null): string | null {
  if (reply.error === null || !mayEnd?.test(reply.error)) return difference(reply, wanted);
  const upTo = { ...wanted, tokens: wanted.tokens.slice(0, reply.tokens.length), finish: reply.finish };
  return difference({ ...reply, error: null }, upTo);
}
