/** Responses in OpenAI's shape, translated for the chat layer. */
import type { ChatMessage, ChatRequest, ResponseFormat, ToolChoice } from "../../chat/messages.ts";
import type { ResponseRequest } from "../schema/responses.ts";
import { toSchemaFormat, toTool } from "./chat.ts";
import { given, toOptions, toThinking } from "./options.ts";

export function toChatRequest(body: ResponseRequest): ChatRequest {
  const instructions = body.instructions == null ? [] : [{ role: "system" as const, content: body.instructions }];
  const tools = body.tool_choice === "none" ? undefined : body.tools;
  return {
    messages: [...instructions, ...toMessages(body.input)],
    ...toOptions(body, body.max_output_tokens),
    ...given("tools", tools?.map(({ type, ...tool }) => toTool({ type, function: tool }))),
    ...given("toolChoice", toToolChoice(body.tool_choice)),
    ...given("responseFormat", toResponseFormat(body.text?.format)),
    ...given("parallelCalls", body.parallel_tool_calls),
    ...toThinking(body, body.reasoning?.effort),
    ...given("logprobs", body.include?.length ? body.top_logprobs ?? 0 : undefined),
  };
}

function toToolChoice(choice: ResponseRequest["tool_choice"]): ToolChoice | null | undefined {
  if (typeof choice === "object") return choice && { name: choice.name };
  return choice === "required" ? choice : undefined;
}

type Format = NonNullable<ResponseRequest["text"]>["format"];

function toResponseFormat(format: Format): ResponseFormat | undefined {
  if (format == null || format.type === "text") return undefined;
  return format.type === "json_object" ? format : toSchemaFormat(format);
}

/** A thought, a text and calls that follow each other in this order are one message of the assistant. */
function toMessages(input: ResponseRequest["input"]): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  const messages: ChatMessage[] = [];
  for (const item of input) {
    const message = toMessage(item);
    const last = messages.at(-1);
    if (last && continues(last, message)) messages[messages.length - 1] = join(last, message);
    else messages.push(message);
  }
  return messages;
}

type Item = Exclude<ResponseRequest["input"], string>[number];

function toMessage(item: Item): ChatMessage {
  switch (item.type) {
    case "reasoning": {
      const parts = item.content?.length ? item.content : item.summary ?? [];
      return { role: "assistant", content: "", reasoning_content: parts.map(({ text }) => text).join("\n") };
    }
    case "function_call": {
      const { call_id: id, name, arguments: text } = item;
      return {
        role: "assistant",
        content: "",
        tool_calls: [{ id, type: "function", function: { name, arguments: text } }],
      };
    }
    case "function_call_output":
      return { role: "tool", content: toText(item.output), tool_call_id: item.call_id };
    default:
      return { role: item.role === "developer" ? "system" : item.role, content: toText(item.content) };
  }
}

/** Whether an assistant's message goes on with what comes next in it: thought, text, calls. */
function continues(last: ChatMessage, next: ChatMessage): boolean {
  if (last.role !== "assistant" || next.role !== "assistant" || next.reasoning_content !== undefined) return false;
  return next.tool_calls !== undefined || (last.content === "" && last.tool_calls === undefined);
}

function join(last: ChatMessage, next: ChatMessage): ChatMessage {
  const calls = [...last.tool_calls ?? [], ...next.tool_calls ?? []];
  return { ...last, content: last.content + next.content, ...(calls.length > 0 ? { tool_calls: calls } : {}) };
}

function toText(content: string | readonly { readonly text: string }[]): string {
  return typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
}
