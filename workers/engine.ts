/** The engine's worker: serves one process, with the pipeline's first stage in the same thread. */
/// <reference lib="deno.worker" />
import { serveEngine } from "../src/engine/host.ts";
import { portLink } from "../src/pipeline/link.ts";
import type { OpenEngine } from "../src/pipeline/messages.ts";
import { openStage } from "../src/stage/open.ts";
import { serveStage } from "../src/stage/stage.ts";

self.onmessage = async ({ data: { options, port, sent } }: MessageEvent<OpenEngine>) => {
  await serveEngine(options, portLink(port), sent, {
    first: (...stage) => serveStage(openStage, ...stage),
    worker: new URL("./stage.ts", import.meta.url),
  });
  self.close();
};
