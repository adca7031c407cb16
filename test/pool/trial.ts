/** A pool that suffers faults while clients stream from it: what became of every stream, and how long it took. */
import { startServe } from "../server/serve_process.ts";
import { Crowd } from "./crowd.ts";
import { type Fault, planFaults, suffer, type Suffered } from "./faults.ts";
import type { TestPool } from "./pool.ts";
import { ask, longestPause, type Question, questionsFor, type Reply } from "./streams.ts";

export interface TrialOptions {
  readonly faults: number;
  readonly seed: number;
  readonly streams: number;
  /** Of each answer. */
  readonly tokens: number;
  /** What a stream may say when it ends early; if left out none may. */
  readonly mayEnd?: RegExp;
  readonly onFault?: (fault: Fault) => void;
}

export interface Trial {
  /** Each with the time from its begin until all streams had gone on behind it. */
  readonly suffered: readonly (Suffered & { readonly allMillis: number })[];
  readonly replies: readonly Reply[];
  readonly wrong: readonly string[];
  /** The longest time that a stream was without a token, or its client without an answer. */
  readonly pauseMillis: number;
}

/** What one process answers that nothing happens to. */
export async function undisturbed(questions: readonly Question[]): Promise<readonly Reply[]> {
  await using server = await startServe(["--max-sequences", "20", "--threads", "1"]);
  return await Promise.all(questions.map((question) => ask(server.url, question)));
}

export async function runTrial(pool: TestPool, options: TrialOptions): Promise<Trial> {
  const questions = questionsFor(2 * options.streams, options.tokens);
  const wanted = await undisturbed(questions);
  const crowd = new Crowd(pool.url, options.streams, questions, wanted);
  const suffered: Trial["suffered"][number][] = [];
  for (const fault of planFaults(pool, options.faults, options.seed)) {
    options.onFault?.(fault);
    const happened = await suffer(pool, fault);
    await crowd.goesOn();
    suffered.push({ ...happened, allMillis: performance.now() - happened.begun });
  }
  await crowd.leave();
  const replies = crowd.replies.map(({ reply }) => reply);
  const pauseMillis = Math.max(...replies.map((reply) => longestPause(reply)));
  return { suffered, replies, wrong: crowd.wrong(options.mayEnd), pauseMillis };
}
