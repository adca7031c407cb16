/** Chat completions in OpenAI's shape, translated for the chat layer. */
import type { ChatMessage, ChatRequest, ResponseFormat, Tool, ToolChoice } from "../../chat/messages.ts";
import type { ChatCompletionRequest } from "../schema/chat.ts";
import { eachChoice, given, toOptions, toThinking } from "./options.ts";

/** One request for each choice. */
export function toChatRequests(body: ChatCompletionRequest): ChatRequest[] {
  const request: ChatRequest = {
    messages: body.messages.map(toMessage),
    ...toOptions(body, body.max_completion_tokens ?? body.max_tokens),
    ...given("tools", body.tool_choice === "none" ? undefined : body.tools?.map(toTool)),
    ...given("toolChoice", toToolChoice(body.tool_choice)),
    ...given("responseFormat", toResponseFormat(body.response_format)),
    ...given("parallelCalls", body.parallel_tool_calls),
    ...toThinking(body, body.reasoning_effort),
    ...given("logprobs", body.logprobs ? body.top_logprobs ?? 0 : undefined),
  };
  return eachChoice(request, body.n);
}

type Message = ChatCompletionRequest["messages"][number];

export function toMessage(message: Message): ChatMessage {
  const content = toText(message.content);
  switch (message.role) {
    case "developer":
      return { role: "system", content };
    case "tool":
      return { role: "tool", content, tool_call_id: message.tool_call_id };
    case "assistant":
      return {
        role: "assistant",
        content,
        ...given("reasoning_content", message.reasoning_content),
        ...given(
          "tool_calls",
          message.tool_calls?.map(({ id, type, function: { name, arguments: text } }) => ({
            id,
            type,
            function: { name, arguments: text },
          })),
        ),
      };
    default:
      return { role: message.role, content };
  }
}

function toText(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text).join("\n");
}

export function toTool(
  { type, function: { name, description, parameters, strict } }: NonNullable<ChatCompletionRequest["tools"]>[number],
): Tool {
  return {
    type,
    function: {
      name,
      ...given("description", description),
      ...given("parameters", parameters),
      ...given("strict", strict),
    },
  };
}

function toToolChoice(choice: ChatCompletionRequest["tool_choice"]): ToolChoice | null | undefined {
  if (typeof choice === "object") return choice && { name: choice.function.name };
  return choice === "required" ? choice : undefined;
}

/** A format without a schema takes any object, as with json_object. */
function toResponseFormat(format: ChatCompletionRequest["response_format"]): ResponseFormat | undefined {
  if (format == null || format.type === "text") return undefined;
  return format.type === "json_object" ? format : toSchemaFormat(format.json_schema);
}

export function toSchemaFormat({ schema, strict }: {
  readonly schema?: unknown;
  readonly strict?: boolean | null | undefined;
}): ResponseFormat {
  return schema ? { type: "json_schema", schema, strict: strict ?? false } : { type: "json_object" };
}
