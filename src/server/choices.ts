/** The choices of one request: several generations as one stream of deltas, and its fold. */
import { Folder } from "../chat/fold.ts";
import type { Delta, Reply } from "../chat/messages.ts";

export interface ChoiceDelta {
  /** Counted from 0. */
  readonly choice: number;
  readonly delta: Delta;
}

/** Begins a generation, which the signal ends. What it refuses at once, it throws. */
export type Start = (signal: AbortSignal) => AsyncGenerator<Delta>;

/**
 * Deltas as they come, `most` generations at a time, in turn where several have one ready. When one fails or the
 * iteration is left early, all end.
 *
 * @throws at once what one of them refuses, before any begins
 */
export function interleave(starts: readonly Start[], most: number, signal: AbortSignal): AsyncGenerator<ChoiceDelta> {
  const leave = new AbortController();
  const either = AbortSignal.any([signal, leave.signal]);
  return takeTurns(starts.map((start) => start(either)), most, leave);
}

async function* takeTurns(
  generations: readonly AsyncGenerator<Delta>[],
  most: number,
  leave: AbortController,
): AsyncGenerator<ChoiceDelta> {
  const waiting = generations.entries();
  /** The next delta of each generation that has begun and not ended; who was heard last comes last. */
  const running = new Map<number, Promise<{ choice: number; next: IteratorResult<Delta, void> }>>();
  const listen = (choice: number) =>
    running.set(choice, generations[choice]!.next().then((next) => ({ choice, next })));
  try {
    while (true) {
      while (running.size < most) {
        const { value, done } = waiting.next();
        if (done) break;
        listen(value[0]);
      }
      if (running.size === 0) return;
      const { choice, next } = await Promise.race(running.values());
      running.delete(choice);
      if (next.done) continue;
      yield { choice, delta: next.value };
      listen(choice);
    }
  } finally {
    leave.abort();
    const ends = generations.map((generation) => generation.return(undefined));
    await Promise.allSettled([...running.values(), ...ends]);
  }
}

/** The reply of each choice. */
export async function foldChoices(deltas: AsyncIterable<ChoiceDelta>): Promise<Reply[]> {
  const folders: Folder[] = [];
  for await (const { choice, delta } of deltas) (folders[choice] ??= new Folder()).push(delta);
  return folders.map((folder) => folder.reply());
}
