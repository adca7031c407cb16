/** One stage in a worker of its own, with the links to it and back. */
import { MessageChannel } from "node:worker_threads";
import { StageWorker } from "../engine/stage_worker.ts";
import { ThreadWorker } from "../engine/thread_worker.ts";
import { type Link, portLink } from "../pipeline/link.ts";
import type { OpenStage, StageInfo } from "../pipeline/messages.ts";
import type { FromStage, ToStage } from "../pipeline/steps.ts";
import type { StageSetup } from "./stage_options.ts";

/** Time that a worker has to end; whoever closes it ends the process then, and with it a driver that hangs. */
const CLOSE_MILLIS = 5000;

export interface StageHooks {
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Gives up opening. */
  readonly signal?: AbortSignal;
  /** Folder of the workers' entries: stage.ts and thread.ts. */
  readonly workers?: URL;
}

export interface OpenedStage extends AsyncDisposable {
  readonly info: StageInfo;
  readonly input: Link<never, ToStage>;
  readonly output: Link<ToStage | FromStage, never>;
  /** Resolves to the reason once it runs no more. */
  readonly ended: Promise<string>;
}

/** @throws {Error} with the stage's reason; if the signal aborts, the signal's */
export async function openStageWorker(setup: StageSetup, hooks: StageHooks): Promise<OpenedStage> {
  const { signal, onProgress = () => {}, workers = new URL("../../workers/", import.meta.url) } = hooks;
  signal?.throwIfAborted();
  const [into, out] = [new MessageChannel(), new MessageChannel()];
  const { threads: count, ...options } = setup;
  const threads = Array.from({ length: count - 1 }, () => new ThreadWorker(new URL("thread.ts", workers)));
  const open: OpenStage = {
    type: "open",
    options: { ...options, threadPorts: threads.map(({ port }) => port) },
    input: into.port2,
    output: out.port1,
  };
  const worker = new StageWorker(new URL("stage.ts", workers), open, [open.input, open.output], threads, onProgress);
  const input = portLink<never, ToStage>(into.port1);
  const output = portLink<ToStage | FromStage, never>(out.port2);
  const close = async () => {
    input[Symbol.dispose]();
    output[Symbol.dispose]();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, CLOSE_MILLIS);
    await Promise.race([worker[Symbol.asyncDispose](), late.promise]);
    clearTimeout(timer);
  };
  signal?.addEventListener("abort", close);
  try {
    return { info: await worker.opened, input, output, ended: worker.ended, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", close);
  }
}
