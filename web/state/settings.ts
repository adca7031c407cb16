/** What a person can choose, and the request that follows from it. */
import type { Question } from "../api/client.ts";
import type { Conversation } from "./conversation.ts";

export type Theme = "system" | "light" | "dark";

/** Null is the server's default. */
export interface Settings {
  readonly system: string;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly maxTokens: number | null;
  readonly thinking: boolean;
  /** Tokens after which a thought is closed. */
  readonly thinkingBudget: number | null;
  readonly key: string;
  readonly theme: Theme;
}

export const defaults: Settings = {
  system: "",
  temperature: null,
  topP: null,
  maxTokens: null,
  thinking: true,
  thinkingBudget: null,
  key: "",
  theme: "system",
};

/** The question that a conversation's last message asks. Thoughts are not sent back: the model reads none but its last. */
export function toQuestion({ messages }: Conversation, settings: Settings, model: string): Question {
  const { system, temperature, topP, maxTokens, thinking, thinkingBudget } = settings;
  const said = messages.filter(({ role, content }) => role === "user" || content !== "");
  return {
    ...(model === "" ? {} : { model }),
    messages: [
      ...(system.trim() === "" ? [] : [{ role: "system" as const, content: system }]),
      ...said.map(({ role, content }) => ({ role, content })),
    ],
    ...(temperature === null ? {} : { temperature }),
    ...(topP === null ? {} : { top_p: topP }),
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    ...(thinking && thinkingBudget !== null ? { thinking_budget: thinkingBudget } : {}),
    chat_template_kwargs: { enable_thinking: thinking },
  };
}
