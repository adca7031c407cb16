/** A further stage's worker: serves its layers between two ports. */
import { parentPort } from "node:worker_threads";
import { portLink } from "../src/pipeline/link.ts";
import type { OpenStage } from "../src/pipeline/messages.ts";
import { openStage } from "../src/stage/open.ts";
import { serveStage } from "../src/stage/stage.ts";

parentPort?.on(
  "message",
  ({ options, input, output }: OpenStage) =>
    serveStage(openStage, options, portLink(input), portLink(output), (event) => parentPort?.postMessage(event)),
);
