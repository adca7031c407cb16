/** Starts a pipeline's stages: the first in this thread, each further one in a worker, neighbours joined directly. */
import { type Link, localLinks, portLink } from "./link.ts";
import type { EngineOptions, FromStage, OpenStage, StageEvent, StageInfo, StageOptions, ToStage } from "./messages.ts";
import { Pipeline } from "./pipeline.ts";

/** Where stages come from. */
export interface StageSources {
  /** Runs a stage in this thread until either link ends. */
  first(
    options: StageOptions,
    input: Link<ToStage, never>,
    output: Link<never, ToStage | FromStage>,
    report: (event: StageEvent) => void,
  ): void;
  /** Entry of the workers of the further stages. */
  readonly worker: URL;
}

/** Disposing ends the stages and their workers. */
export interface OpenPipeline extends AsyncDisposable {
  readonly pipeline: Pipeline;
  readonly stages: readonly StageInfo[];
}

/**
 * Opens all stages at once; `onProgress` hears the bytes loaded by all of them.
 * @throws Error with the reason of the first stage that fails.
 */
export async function openPipeline(
  options: EngineOptions,
  sources: StageSources,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
): Promise<OpenPipeline> {
  await using stack = new AsyncDisposableStack();
  const [toFirst, input] = localLinks<never, ToStage>();
  const { output, ports, fromLast } = joinStages(options.layers.length);
  const pipeline = new Pipeline(toFirst, fromLast, options.layers.length);
  const { report, opened } = openings(options, pipeline, onProgress);
  for (const [i, { input, output }] of ports.entries()) {
    const worker = stack.adopt(new Worker(sources.worker, { type: "module" }), (worker) => worker.terminate());
    open(worker, { type: "open", options: stageOptions(options, i + 1), input, output }, report(i + 1));
  }
  stack.use(pipeline);
  sources.first(stageOptions(options, 0), input, output, report(0));
  const stages = await opened;
  const opening = stack.move();
  return { pipeline, stages, [Symbol.asyncDispose]: () => opening.disposeAsync() };
}

/** What leads out of the first stage, what leads in and out of each further one, and what comes from the last. */
function joinStages(stages: number) {
  if (stages === 1) {
    const [fromLast, output] = localLinks<FromStage, never>();
    return { output, ports: [], fromLast };
  }
  const channels = Array.from({ length: stages }, () => new MessageChannel()); // one out of each stage
  return {
    output: portLink<never, ToStage | FromStage>(channels[0]!.port1),
    ports: channels.slice(1).map(({ port1 }, i) => ({ input: channels[i]!.port2, output: port1 })),
    fromLast: portLink<FromStage, never>(channels.at(-1)!.port2),
  };
}

function stageOptions(options: EngineOptions, stage: number): StageOptions {
  return { ...options, layers: options.layers[stage]! };
}

function open(worker: Worker, message: OpenStage, report: (event: StageEvent) => void): void {
  worker.onmessage = ({ data }: MessageEvent<StageEvent>) => report(data);
  worker.onerror = (event) => {
    event.preventDefault(); // or else it would end this thread too
    report({ type: "failed", reason: event.message });
  };
  worker.postMessage(message, [message.input, message.output]);
}

/** Listeners to the stages' events, and what all of them say of themselves once they are open. */
function openings({ layers }: EngineOptions, pipeline: Pipeline, onProgress: (loaded: number, total: number) => void) {
  const loading = layers.map(() => ({ loadedBytes: 0, totalBytes: 0 }));
  const infos = layers.map(() => Promise.withResolvers<StageInfo>());
  const sum = (key: "loadedBytes" | "totalBytes") => loading.reduce((sum, stage) => sum + stage[key], 0);
  const failure = Promise.withResolvers<never>();
  pipeline.broken.addEventListener("abort", () => failure.reject(pipeline.broken.reason));
  const report = (stage: number) => (event: StageEvent) => {
    switch (event.type) {
      case "loading":
        loading[stage] = event;
        return onProgress(sum("loadedBytes"), sum("totalBytes"));
      case "opened":
        return infos[stage]!.resolve(event.info);
      case "failed":
        failure.reject(new Error(event.reason));
        return pipeline.break(`stage ${stage + 1} of ${layers.length} failed: ${event.reason}`);
      default:
        event satisfies never;
    }
  };
  return { report, opened: Promise.race([Promise.all(infos.map(({ promise }) => promise)), failure.promise]) };
}
