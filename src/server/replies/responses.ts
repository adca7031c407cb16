/** Responses in OpenAI's shape: the events of a stream, the last of which has the whole reply. */
import type { Delta, Usage } from "../../chat/messages.ts";
import type { ChoiceDelta } from "../choices.ts";
import type * as schema from "../schema/responses.ts";
import { type Head, toUsage } from "./common.ts";
import { CallItem, type ResponseEvent, type TextDelta, TextItem } from "./response_items.ts";

/** The reply that the last event has. */
export async function response(
  head: Head,
  body: schema.ResponseRequest,
  deltas: AsyncIterable<ChoiceDelta>,
): Promise<schema.Response> {
  let reply = toResponse(head, body, []);
  for await (const event of responseEvents(head, body, deltas)) {
    if ("response" in event) reply = event.response as schema.Response;
  }
  return reply;
}

/** Items one after the other: each is added, grows and is done before the next. */
export async function* responseEvents(
  head: Head,
  body: schema.ResponseRequest,
  deltas: AsyncIterable<ChoiceDelta>,
): AsyncGenerator<ResponseEvent> {
  const begun = toResponse(head, body, []);
  yield { type: "response.created", response: begun };
  yield { type: "response.in_progress", response: begun };
  const output = new Output(body.reasoning?.summary != null);
  for await (const { delta } of deltas) {
    if (delta.type !== "finish") yield* output.push(delta);
    else yield* finish(output, delta, (items) => toResponse(head, body, items));
  }
}

type Finish = Extract<Delta, { readonly type: "finish" }>;

/** An answer that was cut off leaves its last item incomplete. */
function* finish(
  output: Output,
  { reason, usage }: Finish,
  reply: (items: schema.ResponseItem[]) => schema.Response,
): Generator<ResponseEvent> {
  const status = reason === "length" ? "incomplete" : "completed";
  yield* output.close(status);
  const incomplete = reason === "length" ? { reason: "max_output_tokens" as const } : null;
  const whole = { ...reply(output.items), status, incomplete_details: incomplete, usage: toResponseUsage(usage) };
  yield { type: `response.${status}`, response: whole };
}

/** The items so far, the last of which may still grow. */
class Output {
  readonly items: schema.ResponseItem[] = [];
  readonly #thoughts: "summary" | "thought";
  #growing: TextItem | CallItem | null = null;

  constructor(asSummary: boolean) {
    this.#thoughts = asSummary ? "summary" : "thought";
  }

  *push(delta: TextDelta): Generator<ResponseEvent> {
    if (!this.#growing?.takes(delta)) {
      yield* this.close("completed");
      yield* this.#open(delta);
    }
    yield* this.#growing?.push(delta) ?? [];
  }

  *close(status: "completed" | "incomplete"): Generator<ResponseEvent> {
    if (!this.#growing) return;
    yield* this.#growing.close();
    const item = this.#growing.item(status);
    yield { type: "response.output_item.done", output_index: this.items.length, item };
    this.items.push(item);
    this.#growing = null;
  }

  *#open(delta: TextDelta): Generator<ResponseEvent> {
    const index = this.items.length;
    const growing = delta.type === "tool_call"
      ? new CallItem(delta, index)
      : new TextItem(delta.type === "content" ? "message" : this.#thoughts, index);
    yield { type: "response.output_item.added", output_index: index, item: growing.item("in_progress") };
    yield* growing.open();
    this.#growing = growing;
  }
}

/** A response that is under way, with what was asked for. */
function toResponse(head: Head, body: schema.ResponseRequest, output: schema.ResponseItem[]): schema.Response {
  const { id, model, created: created_at } = head;
  const { effort = null, summary = null } = body.reasoning ?? {};
  return {
    id,
    object: "response",
    created_at,
    model,
    status: "in_progress",
    error: null,
    incomplete_details: null,
    output,
    usage: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    temperature: body.temperature ?? 0,
    top_p: body.top_p ?? 1,
    top_logprobs: body.top_logprobs ?? 0,
    tools: body.tools ?? [],
    tool_choice: body.tool_choice ?? "auto",
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    text: { format: body.text?.format ?? { type: "text" } },
    reasoning: { effort, summary },
    truncation: "disabled",
    metadata: body.metadata ?? {},
    background: false,
    store: false,
    previous_response_id: null,
  };
}

function toResponseUsage(usage: Usage): NonNullable<schema.Response["usage"]> {
  const { prompt_tokens, prompt_tokens_details, completion_tokens, completion_tokens_details, total_tokens } = toUsage(
    [usage],
    1,
  );
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: prompt_tokens_details,
    output_tokens: completion_tokens,
    output_tokens_details: completion_tokens_details,
    total_tokens,
  };
}
