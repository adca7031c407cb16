/** Every request is a stream of deltas: sent as events while they come, or folded into one reply. */
import type { Context } from "hono";
import { fold } from "../chat/fold.ts";
import type { Delta, Reply } from "../chat/messages.ts";
import { toApiError } from "./errors.ts";
import type { Env, LoggedRequest } from "./request_log.ts";

export interface Answer {
  /** Starts the generation; the signal, which tells that the client has left, ends it. */
  readonly deltas: (signal: AbortSignal) => AsyncGenerator<Delta>;
  readonly whole: (reply: Reply) => object;
  readonly chunks: (deltas: AsyncIterable<Delta>) => AsyncGenerator<object>;
}

export function answer(context: Context<Env>, stream: boolean, parts: Answer): Promise<Response> {
  return stream ? answerStream(context, parts) : answerWhole(context, parts);
}

async function answerWhole(context: Context<Env>, { deltas, whole }: Answer): Promise<Response> {
  const { signal } = context.req.raw;
  return context.json(whole(await fold(context.get("logged").observe(deltas(signal)))));
}

/** Waits for the first delta, so that what fails before it still gets a status of its own. */
async function answerStream(context: Context<Env>, { deltas, chunks }: Answer): Promise<Response> {
  const logged = context.get("logged");
  const source = logged.observe(deltas(context.req.raw.signal));
  const first = await source.next();
  const all = async function* () {
    if (!first.done) yield first.value;
    yield* source;
  }();
  logged.streaming = true;
  const events = eventStream(chunks(all), logged, () => source.return(undefined));
  return context.body(events, 200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
}

/** Server-sent events up to `[DONE]`, or up to an error's body if one comes between. `leave` is called if the client does. */
function eventStream(chunks: AsyncGenerator<object>, logged: LoggedRequest, leave: () => Promise<unknown>) {
  const encoder = new TextEncoder();
  const next = async () => {
    try {
      const { value, done } = await chunks.next();
      return done ? { data: "[DONE]", status: 200 } : { data: JSON.stringify(value) };
    } catch (error) {
      logged.error = error;
      const { body, status } = toApiError(error);
      return { data: JSON.stringify(body), status };
    }
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { data, status } = await next();
      controller.enqueue(encoder.encode(`data: ${data}\n\n`));
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
