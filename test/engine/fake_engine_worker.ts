/** workers/engine.ts with fake models of three layers. */
/// <reference lib="deno.worker" />
import { serveEngine } from "../../src/engine/host.ts";
import { portLink } from "../../src/pipeline/link.ts";
import type { OpenEngine } from "../../src/pipeline/messages.ts";
import { serveStage } from "../../src/stage/stage.ts";
import { openFake } from "../stage/fake_stage.ts";

self.onmessage = async ({ data: { options, port, sent } }: MessageEvent<OpenEngine>) => {
  await serveEngine(options, portLink(port), sent, {
    first: (...stage) => serveStage(openFake(3), ...stage),
    worker: new URL("../stage/fake_stage_worker.ts", import.meta.url),
  });
  self.close();
};
