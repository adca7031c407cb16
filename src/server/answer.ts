/** Every request is a stream of deltas: sent as events while they come, or folded into one reply. */
import type { Context } from "hono";
import { type ChoiceDelta, interleave, type Start } from "./choices.ts";
import { toApiError } from "./errors.ts";
import type { Framing } from "./framing.ts";
import type { Env, LoggedRequest } from "./request_log.ts";

export interface Answer {
  /** The generation of each choice. The signal, which tells that the client has left, ends it. */
  readonly starts: readonly Start[];
  /** Generations that may run at once. */
  readonly most: number;
  readonly whole: (deltas: AsyncIterable<ChoiceDelta>) => Promise<object>;
  readonly events: (deltas: AsyncIterable<ChoiceDelta>) => AsyncGenerator<object>;
  readonly framing: Framing;
}

export function answer(context: Context<Env>, stream: boolean, parts: Answer): Promise<Response> {
  return stream ? answerStream(context, parts) : answerWhole(context, parts);
}

async function answerWhole(context: Context<Env>, parts: Answer): Promise<Response> {
  return context.json(await parts.whole(deltas(context, parts)));
}

/** Waits for the first delta, so that what fails before it still gets a status of its own. */
async function answerStream(context: Context<Env>, parts: Answer): Promise<Response> {
  const logged = context.get("logged");
  const source = deltas(context, parts);
  const first = await source.next();
  const all = async function* () {
    if (!first.done) yield first.value;
    yield* source;
  }();
  logged.streaming = true;
  const events = eventStream(parts.events(all), parts.framing, logged, () => source.return(undefined));
  return context.body(events, 200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
}

function deltas(context: Context<Env>, { starts, most }: Answer): AsyncGenerator<ChoiceDelta> {
  const logged = context.get("logged");
  const observed = starts.map((start): Start => (signal) => logged.observe(start(signal)));
  return interleave(observed, most, context.req.raw.signal);
}

/** Server-sent events up to the last, or up to an error's if one comes between. `leave` is called if the client does. */
function eventStream(
  events: AsyncGenerator<object>,
  framing: Framing,
  logged: LoggedRequest,
  leave: () => Promise<unknown>,
) {
  const encoder = new TextEncoder();
  const next = async () => {
    try {
      const { value, done } = await events.next();
      return done ? { text: framing.end, status: 200 } : { text: framing.event(value) };
    } catch (error) {
      logged.error = error;
      const { body, status } = toApiError(error, logged.path);
      return { text: framing.error(body), status };
    }
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { text, status } = await next();
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (status === undefined) return;
      controller.close();
      logged.close(status);
    },
    async cancel() {
      logged.close(499);
      await leave();
    },
  });
}
