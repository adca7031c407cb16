/** workers/engine.ts with a fake model of three layers. */
import { parentPort } from "node:worker_threads";
import { serveEngine } from "../../../src/engine/host.ts";
import type { OpenEngine } from "../../../src/pipeline/messages.ts";
import { serveStage } from "../../../src/stage/stage.ts";
import { openFake } from "../../stage/fake_stage.ts";

parentPort?.on(
  "message",
  (message: OpenEngine) =>
    serveEngine(message, (...stage) => serveStage(openFake(3), ...stage), (event) => parentPort?.postMessage(event)),
);
