/** How a server asks a stage for something: requests and replies as JSON over the broker, read with suspicion. */
import { errors, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { z } from "zod";
import { MOST_HOSTS } from "../wire/offer.ts";
import { shown, text } from "./entries.ts";
import { type ControlReply, type ControlRequest, controlSubject } from "./protocol.ts";

const count = z.number().int().nonnegative();
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

const inbox = z.object({
  subject: z.string().regex(/^[A-Za-z0-9._-]{1,300}$/),
  token: z.string().regex(/^[0-9a-f]{64}$/),
  tcp: z.object({
    hosts: z.array(z.string().min(1).max(255)).max(MOST_HOSTS),
    port: count.min(1).max(65535),
    sealed: z.boolean(),
  }).nullable(),
});

const request: z.ZodType<ControlRequest> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("join"),
    protocol: count,
    session: id,
    route: count,
    activations: z.enum(["f32", "bf16"]),
  }),
  z.object({ type: z.literal("connect"), session: id, route: count, to: inbox, name: id }),
  z.object({ type: z.literal("leave"), session: id, route: count }),
]);

const reply: z.ZodType<ControlReply> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("joined"), inbox }),
  z.object({ type: z.literal("connected"), transport: z.enum(["tcp", "nats"]) }),
  z.object({ type: z.literal("left") }),
  z.object({ type: z.literal("refused"), reason: text }),
]);

/** Answers requests to a stage until it is disposed of; `onMalformed` hears of those that are none. */
export function serveControl(
  nats: NatsConnection,
  pool: string,
  stage: string,
  answer: (request: ControlRequest) => Promise<ControlReply>,
  onMalformed: () => void,
): Disposable {
  const respond = async (message: Msg) => {
    const asked = parsed(request, message.data);
    if (asked === null) onMalformed();
    const reply = asked === null ? refused("Cannot read the request") : await answer(asked);
    if (!nats.isClosed()) message.respond(JSON.stringify(reply));
  };
  const subscription = nats.subscribe(controlSubject(pool, stage), {
    callback: (error, message) => {
      if (error === null) respond(message).catch(() => {}); // the connection has just been closed
    },
  });
  return { [Symbol.dispose]: () => nats.isClosed() || subscription.unsubscribe() };
}

/**
 * Asks a stage. Whoever is not there, does not answer in time or answers nonsense has refused.
 */
export async function askStage(
  nats: NatsConnection,
  pool: string,
  stage: string,
  request: ControlRequest,
  timeoutMillis: number,
): Promise<ControlReply> {
  try {
    const subject = controlSubject(pool, stage);
    const { data } = await nats.request(subject, JSON.stringify(request), { timeout: timeoutMillis });
    return parsed(reply, data) ?? refused(`Cannot read what stage ${stage} answers`);
  } catch (error) {
    return refused(`Stage ${stage} ${absence(error)}`);
  }
}

function absence(error: unknown): string {
  if (error instanceof errors.RequestError && error.isNoResponders()) return "is not at the broker any more";
  return `does not answer: ${error instanceof Error ? error.message : String(error)}`;
}

/** Its reason gets into the server's entry. */
export const refused = (reason: string): ControlReply => ({ type: "refused", reason: shown(reason) });

function parsed<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | null {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}
