/** The engine: requests come in, tokens go out, and in between it schedules, runs and samples, step by step. */
import type { EngineStatus, FromEngine } from "../pipeline/messages.ts";
import type { Released } from "../pipeline/steps.ts";
import type { EngineFinish, GeneratedToken, GenerateRequest, ScoreRequest, ScoreRows } from "../pipeline/requests.ts";
import { GrammarError } from "../grammar/grammar_error.ts";
import { type Runner, UnavailableError } from "../pipeline/runner.ts";
import type { Batch } from "./batch.ts";
import { GenerateTask } from "./generate_task.ts";
import type { EngineLimits } from "./limits.ts";
import { Lookahead } from "./lookahead.ts";
import { isLost, Recovery } from "./recovery.ts";
import type { Sampler } from "./sampler.ts";
import { Room } from "./room.ts";
import { Scheduler } from "./scheduler.ts";
import { ScoreTask } from "./score_task.ts";
import type { Sequence } from "./sequence.ts";
import { reportsOf, StepClock } from "./step_clock.ts";
import { StepOutputs } from "./step_outputs.ts";
import { type Task, Tasks } from "./tasks.ts";
import { type Begun, UnderWay } from "./under_way.ts";

/** Steps of so many rows are computed as those of one are, to the bit (backend.ts). */
const ALIKE_ROWS = 8;

/** Why those fail whose stages were lost too often. */
const HOPELESS = new UnavailableError("Cannot go on: stages were lost again and again before a next token");

/** Token ids in, token ids out: it knows no text and no tensors. */
export class Engine {
  readonly #pipeline: Runner;
  readonly #sampler: Sampler;
  readonly #limits: EngineLimits;
  readonly #emit: (message: FromEngine) => void;
  readonly #scheduler: Scheduler;
  readonly #lookahead: Lookahead;
  readonly #room: Room;
  readonly #clock = new StepClock();
  readonly #underWay: UnderWay;
  readonly #tasks = new Tasks();
  readonly #recovery: Recovery;
  #wake = () => {};
  #stopped = false;
  #drains = false; // whether no step is begun until none is under way, as something is to be copied to the host's memory
  #stored = false; // whether something was copied there since the last step

  constructor(pipeline: Runner, sampler: Sampler, limits: EngineLimits, emit: (message: FromEngine) => void) {
    this.#pipeline = pipeline;
    this.#sampler = sampler;
    this.#limits = limits;
    this.#emit = emit;
    this.#underWay = new UnderWay(pipeline, limits);
    const { slots, maxRows, snapshots = 0, prefixCache, rowsBeside = maxRows, chainsFollow = false, devices = 1 } =
      limits;
    const { alignment = 1, snapshots: cached = 0 } = prefixCache ?? {};
    const mostDecoding = Math.min(limits.deterministic ? ALIKE_ROWS : Infinity, limits.decodeRows ?? Infinity);
    this.#room = Room.of(limits, (snapshot) => pipeline.suits?.(snapshot) ?? true);
    this.#scheduler = new Scheduler({ slots, maxRows, rowsBeside, alignment, room: this.#room, mostDecoding, devices });
    this.#recovery = new Recovery(this.#scheduler, this.#room, this.#tasks);
    this.#lookahead = new Lookahead(this.#scheduler, snapshots - cached, chainsFollow);
    pipeline.broken.addEventListener("abort", () => this.#break());
  }

  /** Slots that no sequence holds. */
  get freeSlots(): number {
    return this.#scheduler.freeSlots;
  }

  generate(id: number, request: GenerateRequest): void {
    const report = (token: GeneratedToken) => this.#report({ type: "token", id, token });
    this.#submit(id, () => new GenerateTask(id, request, this.#limits, this.#sampler, report));
  }

  score(id: number, request: ScoreRequest): void {
    const report = (rows: ScoreRows) => this.#report({ type: "scored", id, rows });
    this.#submit(id, () => new ScoreTask(id, request, this.#limits, report));
  }

  /** What it does at the moment, and what it has done so far. */
  get status(): EngineStatus {
    const { running, waiting, preemptions } = this.#scheduler;
    const { steps, rows } = this.#clock;
    return { running, waiting, preemptions, steps, rows, prefixCache: this.#room.kept };
  }

  tellStatus(): void {
    this.#emit({ type: "status", status: this.status });
  }

  /** Its slot is free at once; a step of it that is under way ends unheard, and if it is for nobody else before its time. */
  abort(id: number): void {
    this.#finish(id, "abort");
    this.#underWay.cancel(({ shares }) => !shares.some((share) => this.#tasks.counts(share)));
    this.#wake();
  }

  /**
   * What the stages had in some slots and snapshots is gone. Whose it was begins anew, and nothing goes on from it; steps that went on from it
   * fail as lost. Not for stages that go through chains.
   */
  lose(lost: Released): void {
    this.#failAll(this.#recovery.lose(lost), HOPELESS);
    this.#wake();
  }

  /**
   * Steps until stop(), and rests while there is nothing to do.
   * @param turn lets in the messages that wait; called after every step.
   */
  async run(turn: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      if (this.#tasks.size + this.#underWay.count > 0) await this.step();
      else if (!await this.#store(true)) {
        await this.#rest();
        continue;
      }
      await turn();
    }
  }

  async #rest(): Promise<void> {
    if (this.#tasks.size > 0 || this.#stopped) return;
    const released = this.#room.takeReleased();
    if (released) void this.#pipeline.release(released);
    await this.#woken();
    this.#clock.start();
  }

  /** Resolves when there may be something new to do. */
  #woken(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** Lets run() end after the step that is under way. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Schedule, run, sample: begins steps, which follow each other through the stages, and samples what the first of them gives. */
  async step(): Promise<void> {
    if (!this.#drains) this.#schedule();
    const { first: begun } = this.#underWay;
    if (!begun || await this.#isOvertaken(begun)) return;
    await this.#finishStep(begun);
    await this.#storeBetween(begun.batch);
  }

  /** Waits until a step has gone through all stages; true if before there may be another to begin. */
  async #isOvertaken({ candidates }: Begun): Promise<boolean> {
    if (this.#drains || !this.#underWay.hasRoom) return false;
    const over = candidates.then(() => false, () => false);
    return await Promise.race([over, this.#woken().then(() => true)]);
  }

  /**
   * Copies something after steps that decode, in place of a chunk of a prompt, so that no stream waits for both; once nothing is under way,
   * for which nothing more begins.
   */
  async #storeBetween({ decodes }: Batch): Promise<void> {
    const crowded = !this.#scheduler.loads && this.#room.host?.hasWork(false);
    this.#drains ||= decodes && !this.#stored && crowded === true;
    this.#stored = false;
    if (!this.#drains || this.#underWay.count > 0) return;
    this.#drains = false;
    this.#stored = await this.#store(false);
    if (this.#stored) this.#scheduler.pass();
  }

  /** Copies some of what is kept to the host's memory, while no step is under way. False if nothing was to be copied, or it could not be. */
  async #store(idle: boolean): Promise<boolean> {
    const { host } = this.#room;
    if (!host?.hasWork(idle)) return false;
    const stored = !this.#scheduler.loads && await host.storeNext(this.#pipeline, idle);
    this.#clock.start();
    return stored;
  }

  /** Begins steps while there is room. */
  #schedule(): void {
    while (this.#underWay.hasRoom) {
      const batch = this.#scheduler.schedule(this.#underWay.decodes);
      this.#failTooLong();
      if (!batch) return;
      const tasks = this.#tasks.decoding(batch);
      this.#underWay.begin(tasks ? this.#lookahead.chained(batch, tasks, this.#clock.decodeMillis) : batch);
      this.#follow();
    }
  }

  /** Begins a chain behind one that is under way and of which all before it has been sampled. */
  #follow(): void {
    if (this.#underWay.count !== 1 || this.#room.host?.hasWork(false)) return;
    const { batch } = this.#underWay.first!;
    const tasks = this.#tasks.decoding(batch);
    const next = tasks && this.#lookahead.following(batch, tasks, this.#clock.decodeMillis);
    if (next) this.#underWay.begin(next);
  }

  /** Samples what a step has given, while the device works on the one that follows it if there is one. */
  async #finishStep(begun: Begun): Promise<void> {
    const { batch } = begun;
    try {
      const found = await this.#underWay.finish(begun);
      this.#failAll(this.#recovery.note(batch, found.lost), HOPELESS);
      const next = this.#underWay.first?.batch.step;
      await this.#sample(batch, new StepOutputs(this.#pipeline, batch.step, found, next?.follows ? next : null));
      this.#follow();
    } catch (error) {
      this.#failAll(this.#recovery.fail(batch, error), isLost(error) ? HOPELESS : error);
    }
  }

  #failTooLong(): void {
    const reason = `Cannot go on: there is memory for the keys and values of ${this.#room.positions} tokens only; ` +
      "send less, or use --kv-cache f16, --quantize q4 or more --stages";
    for (const { id } of this.#scheduler.takeTooLong()) {
      if (this.#tasks.delete(id)) this.#emit({ type: "tooLong", id, reason });
    }
  }

  /** Rests only where a row is read, so that the tokens of a step come without a pause. */
  async #sample(batch: Batch, outputs: StepOutputs): Promise<void> {
    if (outputs.isCut) this.#room.giveBackAhead(batch.step.segments);
    let row = 0;
    for (const share of batch.shares) {
      try {
        const task = share.outputs > 0 && this.#tasks.counts(share) ? this.#tasks.of(share.sequence)! : null;
        const finish = task && await this.#lookahead.take(task, outputs, row);
        if (finish && this.#tasks.of(share.sequence)) this.#finish(share.sequence.id, finish);
      } catch (error) {
        this.#failAll(this.#recovery.failShare(share, error), isLost(error) ? HOPELESS : error);
      }
      row += share.outputs;
    }
    if (outputs.isCut) { for (const { sequence } of batch.shares) sequence.leaveUnderWay(); }
    const millis = this.#clock.tick(batch, outputs.steps);
    if (!this.#limits.profile) return;
    for (const report of reportsOf(batch, outputs, millis)) this.#emit({ type: "step", report });
  }

  #submit(id: number, create: () => Task): void {
    try {
      if (this.#pipeline.broken.aborted) throw new Error(this.#brokenReason);
      const task = create();
      this.#tasks.set(id, task);
      this.#scheduler.add(task.sequence);
      const finish = task instanceof GenerateTask ? task.begin() : null;
      if (finish) this.#finish(id, finish);
      this.#wake();
    } catch (error) {
      this.#emit(failed(id, error));
    }
  }

  #finish(id: number, finish: EngineFinish): void {
    const task = this.#tasks.get(id);
    if (!task) return;
    this.#remove(task.sequence);
    this.#emit({ type: "finished", id, finish, stats: task.stats });
  }

  #failAll(sequences: readonly Sequence[], error: unknown): void {
    if (this.#pipeline.broken.aborted) return; // then all have failed already
    for (const sequence of sequences) {
      if (!this.#tasks.of(sequence)) continue;
      this.#remove(sequence);
      this.#emit(failed(sequence.id, error));
    }
  }

  /** The pipeline broke: every request fails, and every later one will. */
  #break(): void {
    for (const { sequence } of this.#tasks.values()) this.#remove(sequence);
    this.#emit({ type: "failed", id: null, reason: this.#brokenReason });
  }

  get #brokenReason(): string {
    return `The engine stopped: ${this.#pipeline.broken.reason.message}`;
  }

  #remove(sequence: Sequence): void {
    this.#tasks.delete(sequence.id);
    this.#scheduler.remove(sequence);
  }

  /** Says nothing of a request that was aborted while its token was sampled. */
  #report(message: Extract<FromEngine, { type: "token" | "scored" }>): void {
    if (this.#tasks.has(message.id)) this.#emit(message);
  }
}

function failed(id: number, error: unknown): FromEngine {
  const reason = error instanceof Error ? error.message : String(error);
  const [grammar, unavailable] = [error instanceof GrammarError, error instanceof UnavailableError];
  return { type: "failed", id, reason, ...(grammar && { grammar }), ...(unavailable && { unavailable }) };
}
