/** The workers of one engine, joined by ports: the first has the engine and the first stage, the others a stage each, and threads for each stage. */
import { MessageChannel } from "node:worker_threads";
import type { EngineOptions, FromEngine, OpenEngine, OpenStage, StageInfo, ToEngine } from "../pipeline/messages.ts";
import { EnginePort } from "./engine_port.ts";
import { StageWorker } from "./stage_worker.ts";
import { ThreadWorker } from "./thread_worker.ts";

/** Where an engine is, as its client knows it: iterates over its messages until it is gone. */
export interface EngineHost extends AsyncIterable<readonly FromEngine[]>, AsyncDisposable {
  send(message: ToEngine): void;
  /** Resolves to the reason once it runs no more. */
  lost(): Promise<string>;
}

/** Entries of the three kinds of workers. */
export interface WorkerEntries {
  readonly engine: URL;
  readonly stage: URL;
  readonly thread: URL;
}

/**
 * The process starts all workers itself, for Deno takes half a second to start a worker from within another, and as long again until it hears
 * its first message.
 */
export class EngineWorkers implements EngineHost {
  readonly #stages: readonly StageWorker[];
  readonly #port = new EnginePort();

  constructor(
    options: EngineOptions,
    entries: WorkerEntries,
    onProgress: (loadedBytes: number, totalBytes: number) => void,
  ) {
    const { layers, threads: each = 1, gpus = [], ...shared } = options;
    const channels = layers.length === 1 ? [] : layers.map(() => new MessageChannel()); // one out of each stage
    const [output, results] = [channels[0]?.port1, channels.at(-1)?.port2];
    const further = output && results ? { output, results } : null;
    const threads = layers.map(() => Array.from({ length: each - 1 }, () => new ThreadWorker(entries.thread)));
    const [own, ...others] = threads.map((threads) => threads.map(({ port }) => port));
    const engine: OpenEngine = { type: "open", options, threadPorts: own!, ...this.#port.far, further };
    const progress = totalProgress(layers.length, onProgress);
    this.#stages = [
      new StageWorker(entries.engine, engine, [engine.port, ...Object.values(further ?? {})], threads[0]!, progress(0)),
      ...channels.slice(1).map(({ port1: output }, i) => {
        const input = channels[i]!.port2;
        const gpu = gpus[i + 1] ?? shared.gpu;
        const options = { ...shared, gpu, layers: layers[i + 1]!, threadPorts: others[i]! };
        const stage: OpenStage = { type: "open", options, input, output };
        return new StageWorker(entries.stage, stage, [input, output], threads[i + 1]!, progress(i + 1));
      }),
    ];
  }

  /** Waits until all stages are open; rejects with the reason of the first that cannot be. */
  opened(): Promise<StageInfo[]> {
    return Promise.all(this.#stages.map(({ opened }) => opened));
  }

  /** Resolves to the reason once any of the stages runs no more. */
  lost(): Promise<string> {
    const count = this.#stages.length;
    return Promise.race(this.#stages.map(async ({ ended }, i) => {
      const reason = await ended;
      return count === 1 ? reason : `stage ${i + 1} of ${count} failed: ${reason}`;
    }));
  }

  send(message: ToEngine): void {
    this.#port.send(message);
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly FromEngine[]> {
    return this.#port[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#port[Symbol.dispose]();
    await Promise.all(this.#stages.map((stage) => stage[Symbol.asyncDispose]()));
  }
}

/** Listeners to the progress of each stage that tell `onProgress` the sum, once it is known of all. */
function totalProgress(stages: number, onProgress: (loadedBytes: number, totalBytes: number) => void) {
  const loaded = new Float64Array(stages);
  const total = new Float64Array(stages);
  const sum = (bytes: Float64Array) => bytes.reduce((sum, stage) => sum + stage, 0);
  return (stage: number) => (loadedBytes: number, totalBytes: number) => {
    loaded[stage] = loadedBytes;
    total[stage] = totalBytes;
    if (total.every((bytes) => bytes > 0)) onProgress(sum(loaded), sum(total));
  };
}
