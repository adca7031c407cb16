/** Every request is a stream of deltas: sent as events while they come, or folded into one reply. */
import type { Context } from "hono";
import { type ChoiceDelta, interleave, type Start } from "./choices.ts";
import { toApiError } from "./errors.ts";
import { EventBody, within } from "./event_body.ts";
import type { Framing } from "./framing.ts";
import type { Env, LoggedRequest } from "./request_log.ts";

export interface Answer {
  /** The generation of each choice. The signal ends it: the client has left, or its time is over. */
  readonly starts: readonly Start[];
  /** Generations that may run at once. */
  readonly most: number;
  readonly whole: (deltas: AsyncIterable<ChoiceDelta>) => Promise<object>;
  readonly events: (deltas: AsyncIterable<ChoiceDelta>) => AsyncGenerator<object>;
  readonly framing: Framing;
}

/** Milliseconds in which a request that is refused gets a status of its own, before a stream begins without its first delta. */
const REFUSAL_MILLIS = 100;

export function answer(context: Context<Env>, stream: boolean, parts: Answer): Promise<Response> {
  return stream ? answerStream(context, parts) : answerWhole(context, parts);
}

async function answerWhole(context: Context<Env>, parts: Answer): Promise<Response> {
  using lifetime = context.get("traffic").begin(context.req.raw.signal);
  return context.json(await parts.whole(deltas(context, parts, lifetime.signal)));
}

/** Begins when the first delta has come, or soon without it: a long prompt takes its time. */
async function answerStream(context: Context<Env>, parts: Answer): Promise<Response> {
  const [logged, traffic] = [context.get("logged"), context.get("traffic")];
  const lifetime = traffic.begin(context.req.raw.signal);
  try {
    const source = deltas(context, parts, lifetime.signal);
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
    const body = new EventBody(events(parts.events(all), parts.framing, logged, end), traffic.times, leave);
    const headers = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
    return context.body(new ReadableStream(body), 200, headers);
  } catch (error) {
    lifetime[Symbol.dispose]();
    throw error;
  }
}

function deltas(context: Context<Env>, { starts, most }: Answer, signal: AbortSignal): AsyncGenerator<ChoiceDelta> {
  const logged = context.get("logged");
  return interleave(starts.map((start): Start => (signal) => logged.observe(start(signal))), most, signal);
}

/** Server-sent events up to the last, or up to an error's if one comes between. */
async function* events(
  parts: AsyncGenerator<object>,
  framing: Framing,
  logged: LoggedRequest,
  end: (status: number) => void,
) {
  try {
    for await (const part of parts) yield framing.event(part);
    end(200);
    if (framing.end !== "") yield framing.end;
  } catch (error) {
    logged.error = error;
    const { body, status } = toApiError(error, logged.path);
    end(status);
    yield framing.error(body);
  }
}
