/** Several pipelines as one: each sequence stays on the route that it began on, and begins anew on another when that is lost. */
import { StepError } from "../pipeline/pipeline.ts";
import { type Found, type Runner, UnavailableError } from "../pipeline/runner.ts";
import type { Candidates, Released, Segment, Step } from "../pipeline/steps.ts";
import { checkAnswer } from "../wire/check.ts";
import { FrameError } from "../wire/frame_error.ts";
import { isCrowded, lightest } from "./balance.ts";
import { joinedCandidates, joinedLogits, type Part, partsOf } from "./parts.ts";
import { Pins } from "./pins.ts";
import { check, inTime, type Route } from "./route.ts";

export interface RoutedOptions {
  /** V, of rows of logits. */
  readonly vocabulary: number;
  /** Milliseconds without any route after which those who need one fail. */
  readonly patience: number;
  /** One sentence, told to them. */
  absence(): string;
  /** A route is lost, with what was in these slots and snapshots: steps that were under way in it fail as lost. */
  onLost(route: Route, lost: Released): void;
}

const GONE = { reason: "the stages with its states are gone", lost: true } as const;

/** Steps whose logits may still be asked for are not older than so many. */
const REMEMBERED = 64;

/** A part with the number under which the stages know it. */
interface SentPart extends Part<Route> {
  readonly id: number;
}

/** What became of the engine's step. */
interface Sent {
  /** Of the step, R. */
  readonly outputs: number;
  /** Those that are not lost. */
  readonly parts: readonly SentPart[];
}

/**
 * A step goes in a part along each route that its sequences are on. All parts and releases of a session are numbered upwards in one count, by
 * which stages see that something came too late that went along another route.
 */
export class RoutedPipeline implements Runner, Disposable {
  readonly #options: RoutedOptions;
  readonly #routes = new Set<Route>();
  readonly #pins = new Pins<Route>();
  readonly #sent = new Map<number, Sent>(); // by the engine's number of the step
  /** Never: there may be a route again. */
  readonly broken = new AbortController().signal;
  #order = 0;
  #turn: Promise<unknown> = Promise.resolve(); // of the last step that waits for a route
  #arrival = Promise.withResolvers<boolean>(); // of a route, where there is none; false when it was waited for long enough
  #patience: ReturnType<typeof setTimeout> | undefined;
  #waited = 0;
  #perRow: number | null = null; // candidates, once there were some

  constructor(options: RoutedOptions) {
    this.#options = options;
    this.#await();
  }

  get routes(): readonly Route[] {
    return [...this.#routes];
  }

  /** Sequences that had to wait for a route so far, each time that they did. */
  get waited(): number {
    return this.#waited;
  }

  /** Routes that share a last stage at most, and so the room for logits that it has. */
  get sharing(): number {
    const lasts = this.routes.map(({ stages }) => stages.at(-1));
    return Math.max(1, ...lasts.map((last) => lasts.filter((one) => one === last).length));
  }

  /** Sequences on a route. */
  sequences(route: Route): number {
    return this.#pins.count(route);
  }

  readonly #sequences = (route: Route): number => this.sequences(route);

  /** From now on sequences may begin here, until the route breaks. */
  add(route: Route): void {
    const { broken } = route.pipeline;
    if (broken.aborted) return;
    this.#routes.add(route);
    broken.addEventListener("abort", () => this.#lose(route));
    clearTimeout(this.#patience);
    this.#arrival.resolve(true);
  }

  /** What is lost with a route leaves the parts on others as they are. */
  async run(step: Step, tokens: Uint32Array): Promise<Found> {
    if (this.#routes.size === 0) this.#waited += step.segments.filter(({ start }) => start === 0).length;
    await this.#inTurn(() => this.#present());
    const parts = this.#send(step, tokens);
    const found = await Promise.all(parts.map((part) => this.#run(part).catch(ifLost)));
    const came = parts.filter((_, i) => !(found[i] instanceof StepError));
    if (came.length === 0) throw found[0] ?? new StepError(GONE);
    const outputs = step.outputs.length;
    this.#sent.set(step.id, { outputs, parts: came });
    const candidates = joinedCandidates(came, found.flatMap((one) => one instanceof StepError ? [] : [one]), outputs);
    const there = new Set(came.flatMap(({ numbers }) => numbers));
    if (there.size === step.segments.length) return candidates;
    return { ...candidates, lost: new Set(step.segments.keys().filter((i) => !there.has(i))) };
  }

  suits(snapshot: number): boolean {
    const route = this.#pins.of("snapshots", snapshot);
    return route === undefined || !isCrowded(route, this.routes, this.#sequences);
  }

  async release(released: Released): Promise<void> {
    await this.#inTurn(() => {});
    this.#release(this.#pins.release(released));
  }

  /** Nobody waits for a step any more. */
  cancel(id: number): void {
    for (const part of this.#sent.get(id)?.parts ?? []) part.route.pipeline.cancel(part.id);
  }

  /** Stages of others copy nothing. */
  store(): Promise<never> {
    return Promise.reject(new StepError({ reason: "Cannot keep states beside those of other computers" }));
  }

  async logits(id: number): Promise<Float32Array> {
    const { parts: all, outputs } = this.#sent.get(id) ?? { parts: [], outputs: 0 };
    const parts = all.filter((part) => part.outputs.length > 0);
    const found = await Promise.all(parts.map((part) => this.#logits(part)));
    return joinedLogits(parts, found, outputs, this.#options.vocabulary);
  }

  /** Whoever waits, or is on a route, waits no longer. */
  [Symbol.dispose](): void {
    for (const { pipeline } of this.#routes) pipeline.break("the pool was left");
    clearTimeout(this.#patience);
    this.#arrival.resolve(false);
  }

  /** Whoever waits lets nobody pass who could be for the same slots. */
  #inTurn(ready: () => Promise<void> | void): Promise<void> {
    const turn = this.#turn.then(ready);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Resolves once there is a route; rejects if there was none for too long. */
  async #present(): Promise<void> {
    if (this.#routes.size > 0) return;
    if (!await this.#arrival.promise) throw new UnavailableError(this.#options.absence());
  }

  #await(): void {
    this.#arrival = Promise.withResolvers();
    this.#patience = setTimeout(this.#arrival.resolve, this.#options.patience, false);
  }

  #lose(route: Route): void {
    if (!this.#routes.delete(route)) return;
    if (this.#routes.size === 0) this.#await();
    this.#options.onLost(route, this.#pins.drop(route));
  }

  /** Parts a step, with a number of its own for each part. What would go on on a route that is lost is in none. */
  #send(step: Step, tokens: Uint32Array): readonly SentPart[] {
    const routes = step.segments.map((segment) => {
      const route = this.#routeOf(segment);
      if (route) this.#pin(segment, route);
      return route;
    });
    const parts = partsOf(step, tokens, routes).flatMap(({ route, ...part }) =>
      route ? { ...part, route, id: ++this.#order } : []
    );
    this.#sent.set(step.id, { outputs: step.outputs.length, parts });
    for (const id of this.#sent.keys()) { // of some that were asked for nothing was sent
      if (id > step.id - REMEMBERED) break;
      this.#sent.delete(id);
    }
    return parts;
  }

  #routeOf({ slot, start, from }: Segment): Route | undefined {
    if (start === 0) return lightest(this.routes, this.#sequences);
    return from === undefined ? this.#pins.of("slots", slot) : this.#pins.of("snapshots", from);
  }

  /** What another route has of it is given back there. */
  #pin({ slot, before, keep }: Segment, route: Route): void {
    const elsewhere = this.#pins.pin("slots", slot, route);
    if (elsewhere) this.#release(new Map([[elsewhere, { slots: [slot], snapshots: [] }]]));
    for (const snapshot of [before, keep]) {
      const elsewhere = snapshot === undefined ? null : this.#pins.pin("snapshots", snapshot, route);
      if (elsewhere) this.#release(new Map([[elsewhere, { slots: [], snapshots: [snapshot!] }]]));
    }
  }

  #release(shares: ReadonlyMap<Route, Released>): void {
    for (const [{ pipeline }, released] of shares) void pipeline.release({ ...released, order: ++this.#order });
  }

  async #run({ route, id, segments, tokens, outputs }: SentPart): Promise<Candidates> {
    const deadline = route.deadline(tokens.length);
    const asked = route.pipeline.run({ id, segments, outputs, deadline }, tokens);
    const candidates = await inTime(route, deadline, asked);
    check(route, () => {
      checkAnswer({ type: "candidates", id, candidates }, outputs.length, this.#options);
      this.#checkPerRow(candidates);
    });
    return candidates;
  }

  /** All have as many candidates of a row, or those of one route would be put where another's belong. */
  #checkPerRow({ perRow }: Candidates): void {
    this.#perRow ??= perRow;
    if (perRow !== this.#perRow) {
      throw new FrameError(`Cannot take ${perRow} candidates of a row, where there were ${this.#perRow} before`);
    }
  }

  /** Where they are gone, as others came between, the sequence may as well begin anew. */
  async #logits({ route, id, outputs, tokens }: SentPart): Promise<Float32Array> {
    const asked = route.pipeline.logits(id).catch((error) => {
      throw new StepError({ reason: error.message, lost: true });
    });
    const logits = await inTime(route, route.deadline(tokens.length), asked);
    check(route, () => checkAnswer({ type: "logits", id, logits }, outputs.length, this.#options));
    return logits;
  }
}

/** What a part that is lost has instead of candidates. */
function ifLost(error: unknown): StepError {
  if (error instanceof StepError && error.lost) return error;
  throw error;
}
