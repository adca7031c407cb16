/** workers/thread.ts that takes a piece of work and ends: of a stage with one such thread in the first run that it comes to, with more in the 30th. */
import { parentPort } from "node:worker_threads";
import type { Joining } from "../../src/backend/wasm/threads.ts";
import { boardWords, Tickets } from "../../src/backend/wasm/tickets.ts";
import type { OpenThread } from "../../src/pipeline/messages.ts";

function die({ memory, board, threads, index }: Joining): void {
  const tickets = new Tickets(new Int32Array(memory.buffer, board, boardWords(threads)));
  let number = 0;
  for (let left = threads === 2 ? 1 : 30;; left--) {
    number = tickets.nextRun(index, number)!.number;
    if (left <= 1 && tickets.take(tickets.next)) Deno.exit();
  }
}

parentPort?.on("message", ({ port }: OpenThread) => port.once("message", die));
