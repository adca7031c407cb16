/** The items of a response as they grow, each with the events that tell of it. */
import type { Delta, TokenLogprob } from "../../chat/messages.ts";
import type { ResponseItem } from "../schema/responses.ts";
import { toLogprob } from "./common.ts";

/** Its fields, but for the type and the number that all events have. */
export interface ResponseEvent {
  readonly type: `response.${string}`;
  readonly [field: string]: unknown;
}

/** Deltas that carry text. */
export type TextDelta = Exclude<Delta, { readonly type: "finish" }>;

type CallDelta = Extract<Delta, { readonly type: "tool_call" }>;

/** In what a text comes: a message, a thought, or a thought as its own summary. */
const FORMS = {
  message: { part: "response.content_part", text: "response.output_text", index: "content_index" },
  thought: { part: "response.content_part", text: "response.reasoning_text", index: "content_index" },
  summary: {
    part: "response.reasoning_summary_part",
    text: "response.reasoning_summary_text",
    index: "summary_index",
  },
} as const;

/** A text in one part, which goes on as long as its kind of delta comes. */
export class TextItem {
  readonly #form: keyof typeof FORMS;
  readonly #place: { readonly item_id: string; readonly output_index: number };
  #text = "";
  #logprobs: TokenLogprob[] = [];

  constructor(form: keyof typeof FORMS, outputIndex: number) {
    this.#form = form;
    this.#place = { item_id: newId(form === "message" ? "msg" : "rs"), output_index: outputIndex };
  }

  takes({ type }: TextDelta): boolean {
    return type === (this.#form === "message" ? "content" : "reasoning");
  }

  open(): ResponseEvent[] {
    return [this.#event("part", "added", { part: this.#part })];
  }

  push(delta: TextDelta): ResponseEvent[] {
    if (delta.type === "tool_call") return [];
    this.#text += delta.text;
    this.#logprobs.push(...delta.logprobs ?? []);
    return [this.#event("text", "delta", { delta: delta.text, ...this.#withLogprobs(delta.logprobs ?? []) })];
  }

  close(): ResponseEvent[] {
    return [
      this.#event("text", "done", { text: this.#text, ...this.#withLogprobs(this.#logprobs) }),
      this.#event("part", "done", { part: this.#part }),
    ];
  }

  item(status: ResponseItem["status"]): ResponseItem {
    const { item_id: id } = this.#place;
    const begun = { id, status };
    const part = this.#part;
    const none = status === "in_progress";
    switch (part.type) {
      case "output_text":
        return { ...begun, type: "message", role: "assistant", content: none ? [] : [part] };
      case "reasoning_text":
        return { ...begun, type: "reasoning", summary: [], content: none ? [] : [part] };
      case "summary_text":
        return { ...begun, type: "reasoning", summary: none ? [] : [part] };
    }
  }

  get #part() {
    const text = this.#text;
    if (this.#form === "thought") return { type: "reasoning_text" as const, text };
    if (this.#form === "summary") return { type: "summary_text" as const, text };
    return { type: "output_text" as const, text, annotations: [], logprobs: this.#logprobs.map(toLogprob) };
  }

  #withLogprobs(logprobs: readonly TokenLogprob[]) {
    return this.#form === "message" ? { logprobs: logprobs.map(toLogprob) } : {};
  }

  #event(of: "part" | "text", what: string, fields: object): ResponseEvent {
    const form = FORMS[this.#form];
    return { type: `${form[of]}.${what}`, ...this.#place, [form.index]: 0, ...fields };
  }
}

/** A call of a function, whose arguments come in pieces. */
export class CallItem {
  readonly #call: CallDelta;
  readonly #place: { readonly item_id: string; readonly output_index: number };
  #arguments = "";

  constructor(first: CallDelta, outputIndex: number) {
    this.#call = first;
    this.#place = { item_id: newId("fc"), output_index: outputIndex };
  }

  takes(delta: TextDelta): boolean {
    return delta.type === "tool_call" && delta.index === this.#call.index;
  }

  open(): ResponseEvent[] {
    return [];
  }

  push(delta: TextDelta): ResponseEvent[] {
    if (delta.type !== "tool_call" || delta.arguments === "") return [];
    this.#arguments += delta.arguments;
    return [{ type: "response.function_call_arguments.delta", ...this.#place, delta: delta.arguments }];
  }

  close(): ResponseEvent[] {
    const { name = "" } = this.#call;
    return [{ type: "response.function_call_arguments.done", ...this.#place, name, arguments: this.#arguments }];
  }

  item(status: ResponseItem["status"]): ResponseItem {
    const { id: call_id = "", name = "" } = this.#call;
    const { item_id: id } = this.#place;
    return { id, type: "function_call", status, call_id, name, arguments: this.#arguments };
  }
}

function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;
}
