/** Every request is a stream of deltas: sent as events while they come, or folded into one reply. */
import type { Context } from "hono";
import { fold } from "../chat/fold.ts";
import type { Delta, Reply } from "../chat/messages.ts";
import { toApiError } from "./errors.ts";
import { EventBody, within } from "./event_body.ts";
import type { Env, LoggedRequest } from "./request_log.ts";

export interface Answer {
  /** Starts the generation; the signal ends it: the client has left, or its time is over. */
  readonly deltas: (signal: AbortSignal) => AsyncGenerator<Delta>;
  readonly whole: (reply: Reply) => object;
  readonly chunks: (deltas: AsyncIterable<Delta>) => AsyncGenerator<object>;
}

/** Milliseconds in which a request that is refused gets a status of its own, before a stream begins without its first delta. */
const REFUSAL_MILLIS = 100;

export function answer(context: Context<Env>, stream: boolean, parts: Answer): Promise<Response> {
  return stream ? answerStream(context, parts) : answerWhole(context, parts);
}

async function answerWhole(context: Context<Env>, { deltas, whole }: Answer): Promise<Response> {
  using lifetime = context.get("traffic").begin(context.req.raw.signal);
  return context.json(whole(await fold(context.get("logged").observe(deltas(lifetime.signal)))));
}

/** Begins when the first delta has come, or soon without it: a long prompt takes its time. */
async function answerStream(context: Context<Env>, { deltas, chunks }: Answer): Promise<Response> {
  const [logged, traffic] = [context.get("logged"), context.get("traffic")];
  const lifetime = traffic.begin(context.req.raw.signal);
  try {
    const source = logged.observe(deltas(lifetime.signal));
    const first = source.next();
    await within(first, REFUSAL_MILLIS);
    first.catch(() => {}); // is heard where the events are made, unless the client leaves before
    const all = async function* () {
      const { value, done } = await first;
      if (!done) yield value;
      yield* source;
    }();
    const end = (status: number) => {
      logged.close(status);
      lifetime[Symbol.dispose]();
    };
    const leave = async (reason: Error) => {
      logged.error ??= reason.name === "AbortError" ? undefined : reason;
      lifetime.end(reason);
      end(499);
      await source.return(undefined).catch(() => {});
    };
    logged.streaming = true;
    const body = new EventBody(events(chunks(all), logged, end), traffic.times, leave);
    const headers = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
    return context.body(new ReadableStream(body), 200, headers);
  } catch (error) {
    lifetime[Symbol.dispose]();
    throw error;
  }
}

/** Server-sent events up to `[DONE]`, or up to an error's body if one comes between. */
async function* events(chunks: AsyncGenerator<object>, logged: LoggedRequest, end: (status: number) => void) {
  try {
    for await (const chunk of chunks) yield `data: ${JSON.stringify(chunk)}\n\n`;
    end(200);
    yield "data: [DONE]\n\n";
  } catch (error) {
    logged.error = error;
    const { body, status } = toApiError(error);
    end(status);
    yield `data: ${JSON.stringify(body)}\n\n`;
  }
}
