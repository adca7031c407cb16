/** workers/stage.ts with a fake model of three layers. */
import { parentPort } from "node:worker_threads";
import { portLink } from "../../../src/pipeline/link.ts";
import type { OpenStage } from "../../../src/pipeline/messages.ts";
import { serveStage } from "../../../src/stage/stage.ts";
import { openFake } from "../../stage/fake_stage.ts";

parentPort?.on(
  "message",
  ({ options, input, output }: OpenStage) =>
    serveStage(openFake(3), options, portLink(input), portLink(output), (event) => parentPort?.postMessage(event)),
);
