/** A further thread of a WASM stage: computes what the stage shares out. */
import { parentPort } from "node:worker_threads";
import { serveThread } from "../src/backend/wasm/thread.ts";
import type { OpenThread } from "../src/pipeline/messages.ts";

parentPort?.on("message", ({ port }: OpenThread) => serveThread(port));
