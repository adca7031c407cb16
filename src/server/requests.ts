/** Requests in OpenAI's shape, translated for the chat layer. */
import type {
  ChatMessage,
  ChatRequest,
  CompletionRequest as RawCompletion,
  GenerationOptions,
  ResponseFormat,
  Tool,
  ToolChoice,
} from "../chat/messages.ts";
import type { ChatCompletionRequest, CompletionRequest } from "./schema.ts";

/** Tokens of a raw completion that does not say how many it wants, as OpenAI documents. */
const COMPLETION_TOKENS = 16;

export function toChatRequest(body: ChatCompletionRequest): ChatRequest {
  const thinking = body.chat_template_kwargs?.enable_thinking;
  return {
    messages: body.messages.map(toMessage),
    ...toOptions(body, body.max_completion_tokens ?? body.max_tokens),
    ...given("tools", body.tool_choice === "none" ? undefined : body.tools?.map(toTool)),
    ...given("toolChoice", toToolChoice(body.tool_choice)),
    ...given("responseFormat", toResponseFormat(body.response_format)),
    ...given("thinking", thinking),
    ...given("thinkBudget", body.thinking_budget ?? body.chat_template_kwargs?.thinking_budget),
    ...given("logprobs", body.logprobs ? body.top_logprobs ?? 0 : undefined),
  };
}

export function toCompletionRequest(body: CompletionRequest): RawCompletion {
  return { prompt: body.prompt, ...toOptions(body, body.max_tokens ?? COMPLETION_TOKENS) };
}

type Message = ChatCompletionRequest["messages"][number];

function toMessage(message: Message): ChatMessage {
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
          message.tool_calls?.map(({ id, type, function: call }) => ({ id, type, function: call })),
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

function toTool(
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
  if (format.type === "json_object") return format;
  const { schema, strict } = format.json_schema;
  return schema ? { type: "json_schema", schema, strict: strict ?? false } : { type: "json_object" };
}

function toOptions(
  body: ChatCompletionRequest | CompletionRequest,
  maxTokens: number | null | undefined,
): GenerationOptions {
  return {
    sampling: {
      ...given("temperature", body.temperature),
      ...given("topP", body.top_p),
      ...given("topK", body.top_k == null ? undefined : Math.max(0, body.top_k)),
      ...given("minP", body.min_p),
      ...given("repetitionPenalty", body.repetition_penalty),
      ...given("presencePenalty", body.presence_penalty),
      ...given("frequencyPenalty", body.frequency_penalty),
      ...given(
        "logitBias",
        body.logit_bias && Object.entries(body.logit_bias).map(([id, value]) => [Number(id), value] as const),
      ),
      ...given("seed", body.seed),
    },
    ...given("maxTokens", maxTokens),
    ...given("stop", typeof body.stop === "string" ? [body.stop] : body.stop),
  };
}

/** `{ [key]: value }`, or nothing where no value was sent. */
function given<K extends string, V>(key: K, value: V | null | undefined): { [_ in K]?: V } {
  return value == null ? {} : { [key]: value } as { [_ in K]: V };
}
