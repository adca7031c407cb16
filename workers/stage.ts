/** A further stage's worker: serves its layers between two ports. */
/// <reference lib="deno.worker" />
import { portLink } from "../src/pipeline/link.ts";
import type { OpenStage } from "../src/pipeline/messages.ts";
import { openStage } from "../src/stage/open.ts";
import { serveStage } from "../src/stage/stage.ts";

self.onmessage = async ({ data: { options, input, output } }: MessageEvent<OpenStage>) => {
  await serveStage(openStage, options, portLink(input), portLink(output), (event) => self.postMessage(event));
  self.close();
};
