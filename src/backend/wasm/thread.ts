/** What a thread does besides the stage's own: joins its memory, takes its plans, and goes through those that run. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { KernelsExports } from "../../../wasm/kernels.ts";
import { join } from "../../../wasm/memory.ts";
import type { Joining, SharedPlan } from "./threads.ts";
import { boardWords, Tickets } from "./tickets.ts";
import { Walk } from "./walk.ts";

/** Computes until the stage lets it go; the thread hears nothing else meanwhile. */
export function serveThread(port: MessagePort): void {
  port.once("message", (joining: Joining) => {
    compute(joining, port);
    port.close();
  });
}

function compute(joining: Joining, port: MessagePort): void {
  const { memory, board, index, threads } = joining;
  const tickets = new Tickets(new Int32Array(memory.buffer, board, boardWords(threads)));
  try {
    const kernels = join<KernelsExports>(joining);
    const walks: Walk[] = [];
    for (let run = tickets.nextRun(index, 0); run !== null; run = tickets.nextRun(index, run.number)) {
      while (walks.length <= run.plan) {
        const plan: SharedPlan = receiveMessageOnPort(port)!.message;
        walks.push(new Walk(plan, [], kernels, joining));
      }
      const walk = walks[run.plan]!;
      walk.cut(run.counts);
      if (!walk.share(run, tickets)) return;
    }
  } catch (error) {
    port.postMessage(error instanceof Error ? error.message : String(error));
    tickets.fail();
  }
}
