/** The stages as the engine sees them: a step goes in at the first, its candidates come out of the last. */
import type { Store } from "./copies.ts";
import type { Link } from "./link.ts";
import type { Runner } from "./runner.ts";
import type { Candidates, FromStage, Released, Step, StepFailure, ToStage } from "./steps.ts";

/** A step that a stage could not run. */
export class StepError extends Error {
  override readonly name = "StepError";
  /** Where pages were wanting, how many that stage has and will have; else null. */
  readonly pages: number | null;
  /** Whether its sequences may begin anew, as what it went on from is gone. */
  readonly lost: boolean;

  constructor({ reason, pages, lost }: Pick<StepFailure, "reason" | "pages" | "lost">) {
    super(reason);
    this.pages = pages ?? null;
    this.lost = lost ?? false;
  }
}

/**
 * At most as many steps are under way as there are stages, so that no queue grows. A stage that goes away breaks the pipeline
 * for good: `broken` aborts, and everyone who waits or comes later is rejected with its reason.
 */
export class Pipeline implements Runner, AsyncDisposable {
  readonly #first: Link<never, ToStage>;
  readonly #last: Link<FromStage, never>;
  readonly #replies = new Map<number, PromiseWithResolvers<FromStage>>();
  readonly #queue: (() => void)[] = [];
  readonly #broken = new AbortController();
  readonly #listening: Promise<void>;
  #credits: number;
  #taken = Promise.resolve(); // the last credit
  #stores = 0;
  #closing = false;
  #ended: Error | null = null;

  constructor(first: Link<never, ToStage>, last: Link<FromStage, never>, stages: number) {
    this.#first = first;
    this.#last = last;
    this.#credits = stages;
    this.#listening = this.#listen();
  }

  /** Aborts when the pipeline breaks, with an Error that says why. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /**
   * Runs one step and resolves to the candidates of its R output rows; waits first while too many steps are under way, unless it follows
   * one of them.
   * Rejects with a StepError if a stage failed in this step.
   * @param tokens [T] token ids, in the order of the step's segments.
   */
  async run(step: Step, tokens: Uint32Array): Promise<Candidates> {
    await (step.follows ? this.#taken : this.#taken = this.#takeCredit());
    try {
      const reply = await this.#ask({ type: "tokens", step, tokens }, step.id);
      if (reply.type === "candidates") return reply.candidates;
      throw unexpected(reply);
    } finally {
      if (!step.follows) this.#returnCredit();
    }
  }

  cancel(id: number): void {
    if (this.#replies.has(id) && !this.#ended) this.#first.send({ type: "cancel", id });
  }

  /** Lets all stages take back pages, behind the steps that were begun before, also those that still wait. */
  async release(released: Released): Promise<void> {
    await this.#taken;
    if (!this.#ended) this.#first.send({ type: "release", released });
  }

  /**
   * Lets all stages copy to the host's memory, behind the steps that are under way.
   * Rejects with a StepError if a stage could not; then no later one has.
   */
  async store(store: Store): Promise<void> {
    await this.#takeCredit();
    try {
      const id = -(++this.#stores); // steps count from 0 upwards
      const reply = await this.#ask({ type: "store", id, store }, id);
      if (reply.type !== "stored") throw unexpected(reply);
    } finally {
      this.#returnCredit();
    }
  }

  /** [R, V] whole logits of step `id`, behind which no more others have been begun than logits are kept of. */
  async logits(id: number): Promise<Float32Array> {
    const reply = await this.#ask({ type: "logits", id }, id);
    if (reply.type === "logits") return reply.logits;
    throw unexpected(reply);
  }

  /** Breaks the pipeline, unless it is broken or closed already. */
  break(reason: string): void {
    if (this.#closing || this.broken.aborted) return;
    this.#broken.abort(new Error(reason));
    this.#first[Symbol.dispose]();
    this.#last[Symbol.dispose]();
    this.#end(this.broken.reason);
  }

  /** Closes the first link and waits until the stages have ended one after the other. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#first[Symbol.dispose]();
    await this.#listening;
    this.#last[Symbol.dispose]();
  }

  #ask(message: ToStage, id: number): Promise<FromStage> {
    if (this.#ended) return Promise.reject(this.#ended);
    const reply = Promise.withResolvers<FromStage>();
    this.#replies.set(id, reply);
    this.#first.send(message);
    return reply.promise;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const reply of this.#replies.values()) reply.reject(error);
    this.#replies.clear();
  }

  async #takeCredit(): Promise<void> {
    if (this.#credits > 0) this.#credits--;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  #returnCredit(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#credits++;
  }

  async #listen(): Promise<void> {
    for await (const message of this.#last) {
      this.#replies.get(message.id)?.resolve(message);
      this.#replies.delete(message.id);
    }
    this.break("a stage ended without a word");
    this.#end(new Error("Cannot run the step: the pipeline is closed"));
  }
}

function unexpected(reply: FromStage): Error {
  if (reply.type === "failed") return new StepError(reply);
  return new Error(`Cannot take "${reply.type}" as the answer to step ${reply.id}`);
}
