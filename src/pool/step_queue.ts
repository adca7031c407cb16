/** What a stage has to do: the messages of all its routes, one after the other through one worker, each result back to the route it is of. */
import type { Link } from "../pipeline/link.ts";
import type { FromStage, Released, Step, ToStage } from "../pipeline/steps.ts";
import { OrderGuard } from "./order_guard.ts";
import { StageFigures } from "./stage_figures.ts";

/** Messages in the worker at once: the next one is there when it has done with one. The others wait here, where they can still be dropped. */
const AHEAD = 2;

/** Between two looks at how long a message has been in the worker. */
const LOOK_MILLIS = 500;

/** Where results of a route go. */
export interface Way {
  readonly route: number;
  send(message: ToStage | FromStage): void;
}

/** A message that waits, or is in the worker. */
interface Work {
  /** Null once nobody wants its result. */
  way: Way | null;
  readonly message: ToStage;
  readonly step: Step | null;
  readonly came: number;
  /** Nobody waits for its result, but for being told so. */
  cancelled?: true;
}

/** Why a step that was cancelled fails. */
const CANCELLED = "nobody waits for it any more";

export interface StepQueueOptions {
  /** Whether the stage has the model's head, so that a release ends there. */
  readonly last: boolean;
  /** A message that is in the worker for longer hangs. */
  readonly limitMillis: number;
  readonly now?: () => number;
}

export class StepQueue implements Disposable {
  readonly #input: Link<never, ToStage>;
  readonly #output: Link<ToStage | FromStage, never>;
  readonly #options: StepQueueOptions;
  readonly #now: () => number;
  readonly #guard = new OrderGuard();
  readonly #figures: StageFigures;
  readonly #waiting: Work[] = [];
  readonly #inWorker: Work[] = []; // those that it answers, in order
  readonly #hangs = Promise.withResolvers<string>();
  readonly #looking: ReturnType<typeof setInterval>;
  #headMillis = 0; // that the first of them is seen to be in it
  #idle: (() => void)[] = [];

  /** `input` leads to the worker, which answers in order on `output`. */
  constructor(input: Link<never, ToStage>, output: Link<ToStage | FromStage, never>, options: StepQueueOptions) {
    this.#input = input;
    this.#output = output;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#figures = new StageFigures(this.#now);
    this.#looking = setInterval(() => this.#look(), LOOK_MILLIS);
    void this.#listen();
  }

  /** Resolves to a sentence if the worker does not get on with a message. */
  get hangs(): Promise<string> {
    return this.#hangs.promise;
  }

  get figures() {
    return this.#figures.all;
  }

  /** Messages that wait or are in the worker. */
  get length(): number {
    return this.#waiting.length + this.#inWorker.length;
  }

  /** Messages of one route that wait, and the steps among them, which may have megabytes. */
  waitingOf(way: Way): { readonly messages: number; readonly steps: number } {
    const own = this.#waiting.filter((work) => work.way === way);
    return { messages: own.length, steps: own.filter(({ step }) => step !== null).length };
  }

  /** A message has come on a route. What has failed before goes on at once; all else in its turn. */
  push(way: Way, message: ToStage): void {
    if (message.type === "failed") return way.send(message);
    if (message.type === "cancel") return this.#cancel(way, message);
    this.#waiting.push({ way, message, step: "step" in message ? message.step : null, came: this.#now() });
    this.#pump();
  }

  /** A route has ended: what waits for it is dropped, and what only it had is given back before anything else begins. */
  leave(way: Way): void {
    for (const work of this.#inWorker) if (work.way === way) work.way = null;
    const others = this.#waiting.filter((work) => work.way !== way);
    this.#waiting.splice(0, this.#waiting.length, ...others);
    this.#giveBack(this.#guard.leave(way.route));
    this.#pump();
  }

  /** No route is left, and numbers begin anew: all that is held is given back. */
  clear(): void {
    this.#giveBack(this.#guard.clear());
  }

  /** Waits until there is nothing to do. */
  async idle(): Promise<void> {
    if (this.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#looking);
    this.#input[Symbol.dispose]();
    this.#output[Symbol.dispose]();
  }

  /** A step that has gone on already is followed; one in the worker ends there, and no later stage hears of it. */
  #cancel(way: Way, message: Extract<ToStage, { type: "cancel" }>): void {
    const isMeant = (work: Work) => work.way === way && work.step?.id === message.id;
    const begun = this.#inWorker.find(isMeant);
    const waits = this.#waiting.findIndex(isMeant);
    if (begun) begun.cancelled = true;
    else if (waits >= 0) {
      this.#waiting.splice(waits, 1);
      way.send({ type: "failed", id: message.id, reason: CANCELLED });
    } else if (!this.#options.last) way.send(message);
  }

  #pump(): void {
    while (this.#inWorker.length < AHEAD) {
      const work = this.#waiting.shift();
      if (work === undefined) break;
      this.#begin(work);
    }
    this.#figures.computing = this.#inWorker.length > 0;
    if (this.length === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
  }

  #begin(work: Work): void {
    const { way, message, step } = work;
    if (message.type === "release") return this.#release(work, this.#guard.release(message.released));
    const reason = step && way ? this.#refusal(way, step, work.came) : null;
    if (reason !== null) return way!.send({ type: "failed", id: step!.id, reason, lost: true });
    this.#input.send(message);
    this.#inWorker.push(work);
  }

  /** Why a step is not run: what it is to go on from is gone, or nobody waits for it any more. */
  #refusal({ route }: Way, step: Step, came: number): string | null {
    const stale = this.#guard.begin(route, step);
    if (stale !== null || this.#left(step, came) > 0) return stale;
    this.#guard.fail(step);
    return `step ${step.id} waited here until its time was over`;
  }

  /** Milliseconds that a step may still take. */
  #left({ deadline = Infinity }: Step, came: number): number {
    return deadline - (this.#now() - came);
  }

  /** On all stages but the last the worker sends it on, behind the steps before. */
  #release(work: Work, released: Released): void {
    this.#input.send({ type: "release", released });
    if (!this.#options.last) this.#inWorker.push(work);
  }

  #giveBack(released: Released): void {
    if (released.slots.length + released.snapshots.length === 0) return;
    this.#release({ way: null, message: { type: "release", released }, step: null, came: this.#now() }, released);
  }

  async #listen(): Promise<void> {
    for await (const message of this.#output) {
      const work = this.#inWorker.shift();
      this.#headMillis = 0;
      if (work) this.#finish(work, message);
      this.#pump();
    }
  }

  #finish({ way, message, step, came, cancelled }: Work, result: ToStage | FromStage): void {
    if (result.type === "failed" && step) this.#guard.fail(step);
    else if (step) this.#figures.ran(step.segments.reduce((sum, { rows }) => sum + rows, 0));
    if (message.type === "release") way?.send(message); // whole: other stages hold something else
    else if (step && cancelled) way?.send({ type: "failed", id: step.id, reason: CANCELLED });
    else if (result.type === "hidden" && result.step.deadline !== undefined) {
      way?.send({ ...result, step: { ...result.step, deadline: Math.max(0, this.#left(result.step, came)) } });
    } else way?.send(result);
  }

  /** Counts the time in which this thread ran as well: a process that was stopped is not one that hangs. */
  #look(): void {
    if (this.#inWorker.length === 0) return;
    this.#headMillis += LOOK_MILLIS;
    const { limitMillis } = this.#options;
    if (this.#headMillis < limitMillis) return;
    this.#hangs.resolve(`its worker has been at one step for ${Math.round(limitMillis / 1000)} s`);
  }
}
