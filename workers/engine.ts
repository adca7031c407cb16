/** The engine's worker: serves one process, with the pipeline's first stage in the same thread. */
import { parentPort } from "node:worker_threads";
import { serveEngine } from "../src/engine/host.ts";
import type { OpenEngine } from "../src/pipeline/messages.ts";
import { openStage } from "../src/stage/open.ts";
import { serveStage } from "../src/stage/stage.ts";

parentPort?.on(
  "message",
  (message: OpenEngine) =>
    serveEngine(message, (...stage) => serveStage(openStage, ...stage), (event) => parentPort?.postMessage(event)),
);
