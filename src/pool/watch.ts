/** A pool as it is, once a second, to whoever watches it. */
import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import { Members } from "./membership.ts";
import { type Overview, overviewOf } from "./overview.ts";
import { HEARTBEAT_MILLIS, type StageEntry } from "./protocol.ts";

/** So long a stage that fell silent is told of. */
const REMEMBER_MILLIS = 60_000;
const MOST_LOST = 100;

export interface WatchedBroker {
  readonly nats: NatsConnection;
  /** Why it cannot be reached, in one sentence. */
  readonly trouble: string | null;
}

/** The first overview comes after a heartbeat, so that everybody who lives is in it. Ends when the signal aborts. */
export async function* watchPool(broker: WatchedBroker, pool: string, signal: AbortSignal): AsyncGenerator<Overview> {
  await using members = await Members.watch(broker.nats, pool);
  const lost: { readonly entry: StageEntry; readonly at: number }[] = [];
  const listening = rememberLost(members, lost);
  try {
    while (!signal.aborted) {
      await delay(HEARTBEAT_MILLIS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const since = performance.now() - REMEMBER_MILLIS;
      while (lost.length > MOST_LOST || (lost[0]?.at ?? Infinity) < since) lost.shift();
      yield overviewOf(pool, members.all, lost.map(({ entry }) => entry), broker.trouble);
    }
  } finally {
    await members[Symbol.asyncDispose]();
    await listening;
  }
}

/** Those that left in order are not missed. */
async function rememberLost(
  members: Members,
  lost: { readonly entry: StageEntry; readonly at: number }[],
): Promise<void> {
  for await (const event of members) {
    if (event.type !== "lost") {
      const back = lost.findIndex(({ entry }) => entry.offer.id === event.member.id);
      if (back >= 0) lost.splice(back, 1); // it was only out of reach
    } else if (!event.left && event.member.kind === "stage") {
      lost.push({ entry: event.member.entry, at: performance.now() });
    }
  }
}
