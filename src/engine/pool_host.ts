/** The engine of a pool's server, in its worker: its stages are other processes, for which it waits. */
import { Inbox } from "../pipeline/inbox.ts";
import { type Link, portLink } from "../pipeline/link.ts";
import type { FromEngine, OpenPool, PoolEvent, StageInfo, ToEngine } from "../pipeline/messages.ts";
import type { PoolStatus } from "../pipeline/pool_status.ts";
import type { Runner } from "../pipeline/runner.ts";
import type { Released } from "../pipeline/steps.ts";
import { Engine } from "./engine.ts";
import { batched, converse } from "./host.ts";
import type { EngineLimits } from "./limits.ts";
import { Sampler } from "./sampler.ts";

/** A pool that was joined, once its stages have all layers. */
export interface JoinedPool extends AsyncDisposable {
  readonly runner: Runner;
  /** What the stages have room for. */
  readonly limits: Omit<EngineLimits, "keptLogits">;
  /** Changes with the routes. */
  readonly keptLogits: number;
  readonly stages: readonly StageInfo[];
  readonly status: PoolStatus;
  /** Lets no step wait any longer. */
  stop(): void;
}

export interface PoolHooks {
  /** Hears what is waited for, in one sentence, and null when it is there. */
  onWaiting(what: string | null): void;
  onLost(lost: Released): void;
  /** Sequences that run and wait. */
  load(): { readonly running: number; readonly waiting: number };
}

/** Joins a pool and waits for its stages, until the signal aborts. */
export type JoinPool<Pool> = (pool: Pool, hooks: PoolHooks, signal: AbortSignal) => Promise<JoinedPool>;

/** Serves one process until it closes the engine or is gone, and leaves the pool. `report` hears what becomes of it. */
export async function servePool<Pool>(
  { pool, options, port, sent }: OpenPool<Pool>,
  join: JoinPool<Pool>,
  report: (event: PoolEvent) => void,
): Promise<void> {
  using process = portLink<ToEngine, readonly FromEngine[]>(port);
  const { messages, closing } = overheard(process);
  let engine: Engine | null = null;
  const hooks: PoolHooks = {
    onWaiting: (what) => report({ type: "waiting", what }),
    onLost: (lost) => engine?.lose(lost),
    load: () => engine?.status ?? { running: 0, waiting: 0 },
  };
  try {
    await using joined = await join(pool, hooks, closing);
    closing.addEventListener("abort", () => joined.stop());
    const { stages, limits: { slots, context, vocabulary, devices = 1 } } = joined;
    const limits = {
      ...joined.limits,
      ...options,
      get keptLogits() {
        return joined.keptLogits;
      },
    };
    const send = batched((messages) => process.send(messages.map((message) => withPool(message, joined))));
    engine = new Engine(joined.runner, await Sampler.create(vocabulary, options.tokens), limits, send);
    report({ type: "opened", info: { stages, devices, context, slots, vocabulary } });
    await converse(engine, messages, new Uint32Array(sent));
  } catch (error) {
    if (!closing.aborted) report({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
  report({ type: "left" });
}

/** What a process says, and whether it has closed the engine or is gone: while that is not open yet nobody takes its messages. */
function overheard(process: Link<ToEngine, unknown>) {
  const messages = new Inbox<ToEngine>();
  const closing = new AbortController();
  const listen = async () => {
    for await (const message of process) {
      messages.push(message);
      if (message.type === "close") break;
    }
    messages.end();
    closing.abort();
  };
  void listen();
  return { messages, closing: closing.signal };
}

function withPool(message: FromEngine, { status: pool }: JoinedPool): FromEngine {
  return message.type === "status" ? { type: "status", status: { ...message.status, pool } } : message;
}
