/** What requests of several endpoints say alike. */
import type { ChatRequest, GenerationOptions } from "../../chat/messages.ts";
import type { ChatCompletionRequest } from "../schema/chat.ts";
import type { CompletionRequest } from "../schema/completions.ts";
import type { ResponseRequest } from "../schema/responses.ts";

type Sampled = Pick<
  ChatCompletionRequest | CompletionRequest,
  | "temperature"
  | "top_p"
  | "top_k"
  | "min_p"
  | "repetition_penalty"
  | "presence_penalty"
  | "frequency_penalty"
  | "logit_bias"
  | "seed"
  | "stop"
>;

export function toOptions(body: Sampled, maxTokens: number | null | undefined): GenerationOptions {
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

type Effort = NonNullable<ChatCompletionRequest["reasoning_effort"]>;

/** Tokens after which a thought is closed; others leave it open. */
const BUDGETS: Readonly<Partial<Record<Effort, number>>> = { minimal: 256, low: 1024, medium: 4096 };

export function toThinking(
  { chat_template_kwargs, thinking_budget }: Pick<
    ChatCompletionRequest | ResponseRequest,
    "chat_template_kwargs" | "thinking_budget"
  >,
  effort: Effort | null | undefined,
): Pick<ChatRequest, "thinking" | "thinkBudget"> {
  const thinking = chat_template_kwargs?.enable_thinking ?? (effort == null ? undefined : effort !== "none");
  const budget = thinking_budget ?? chat_template_kwargs?.thinking_budget;
  return { ...given("thinking", thinking), ...given("thinkBudget", budget ?? (effort && BUDGETS[effort])) };
}

/** The same request for each choice, but for its seed. */
export function eachChoice<R extends GenerationOptions>(request: R, n: number | null | undefined): R[] {
  const seed = request.sampling?.seed;
  return Array.from({ length: n ?? 1 }, (_, i) => {
    if (seed === undefined || i === 0) return request;
    return { ...request, sampling: { ...request.sampling, seed: choiceSeed(seed, i) } };
  });
}

/** Counted down where there is no room upwards. */
function choiceSeed(seed: number, choice: number): number {
  return Number.isSafeInteger(seed + choice) ? seed + choice : seed - choice;
}

/** `{ [key]: value }`, or nothing where no value was sent. */
export function given<K extends string, V>(key: K, value: V | null | undefined): { [_ in K]?: V } {
  return value == null ? {} : { [key]: value } as { [_ in K]: V };
}
