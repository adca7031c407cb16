/** workers/stage.ts with a fake model of three layers. */
/// <reference lib="deno.worker" />
import { portLink } from "../../src/pipeline/link.ts";
import type { OpenStage } from "../../src/pipeline/messages.ts";
import { serveStage } from "../../src/stage/stage.ts";
import { openFake } from "./fake_stage.ts";

self.onmessage = async ({ data: { options, input, output } }: MessageEvent<OpenStage>) => {
  await serveStage(openFake(3), options, portLink(input), portLink(output), (event) => self.postMessage(event));
  self.close();
};
