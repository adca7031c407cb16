/** workers/stage.ts, which ends without a word when a sequence comes to position 100. */
import { parentPort } from "node:worker_threads";
import { portLink } from "../../../src/pipeline/link.ts";
import type { OpenStage } from "../../../src/pipeline/messages.ts";
import { openStage } from "../../../src/stage/open.ts";
import { type OpenStageModel, serveStage } from "../../../src/stage/stage.ts";

const open: OpenStageModel = async (options, onProgress) => {
  const { model, info } = await openStage(options, onProgress);
  const forward = model.forward.bind(model);
  const ends: typeof forward = async (step, input) => {
    if (step.segments.some(({ start }) => start === 100)) Deno.exit();
    return await forward(step, input);
  };
  return { model: Object.assign(model, { forward: ends }), info };
};

parentPort?.on(
  "message",
  ({ options, input, output }: OpenStage) =>
    serveStage(open, options, portLink(input), portLink(output), (event) => parentPort?.postMessage(event)),
);
