/** workers/thread.ts that takes a piece of work and ends: of a stage with one such thread in the first run that it comes to, with more in the 30th. */
import { parentPort } from "node:worker_threads";
import type { Joining } from "../../src/backend/wasm/threads.ts";
import { boardWords, calledTo, takenOf, Tickets } from "../../src/backend/wasm/tickets.ts";
import type { OpenThread } from "../../src/pipeline/messages.ts";

function die({ memory, board, threads, index }: Joining): void {
  const words = new Int32Array(memory.buffer, board, boardWords(threads));
  const tickets = new Tickets(words);
  const call = calledTo(index);
  let run = 0;
  for (let left = threads === 2 ? 1 : 30;; left--) {
    while (Atomics.load(words, call) === run) Atomics.wait(words, call, run, 1);
    if (!tickets.open) return; // else it would run for as long as its process does
    run = Atomics.load(words, call);
    const taken = Atomics.load(words, takenOf(index));
    if (left <= 1 && Atomics.compareExchange(words, takenOf(index), taken, taken + 1) === taken) Deno.exit();
  }
}

parentPort?.on("message", ({ port }: OpenThread) => port.once("message", die));
