/** What a thread does besides the stage's own: joins its memory, and shares the runs that it is called to. */
import type { MessagePort } from "node:worker_threads";
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { join } from "../../../wasm/memory.ts";
import type { Joining } from "./threads.ts";
import { boardWords, Tickets } from "./tickets.ts";

/** Computes until the stage lets it go; the thread hears nothing else meanwhile. */
export function serveThread(port: MessagePort): void {
  port.once("message", (joining: Joining) => {
    compute(joining, port);
    port.close();
  });
}

function compute(joining: Joining, port: MessagePort): void {
  const { memory, board, index, threads } = joining;
  try {
    join<KernelsExports>(joining).serve(board, index);
  } catch (error) {
    port.postMessage(error instanceof Error ? error.message : String(error));
    new Tickets(new Int32Array(memory.buffer, board, boardWords(threads))).fail();
  }
}
