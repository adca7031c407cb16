/** A conversation and what can be done to it; every function gives a new one. */
import type { Failure } from "../api/failure.ts";

export interface UserMessage {
  readonly role: "user";
  readonly content: string;
}

export interface Stats {
  /** Tokens of the answer, the thought included; while it comes, the pieces that have come. */
  readonly tokens: number;
  readonly promptTokens?: number;
  /** Of the prompt's tokens, those that the server had read before. */
  readonly cachedTokens?: number;
  /** From the request to the first piece. */
  readonly waitMillis: number;
  /** From the first piece to the last. */
  readonly millis: number;
}

export interface Answer {
  readonly role: "assistant";
  readonly content: string;
  readonly reasoning: string;
  readonly status: "streaming" | "done" | "stopped" | "failed";
  /** Why the model ended: `stop`, or `length` at the limit of tokens. */
  readonly reason?: string;
  /** How long it thought, once the thought is over. */
  readonly thoughtMillis?: number;
  readonly stats?: Stats;
  readonly failure?: Failure;
}

export type Message = UserMessage | Answer;

export interface Conversation {
  readonly id: string;
  /** Milliseconds since 1970 of the last message. */
  readonly updated: number;
  readonly messages: readonly Message[];
}

const TITLE_LENGTH = 60;

export const emptyAnswer: Answer = { role: "assistant", content: "", reasoning: "", status: "streaming" };

export function newConversation(): Conversation {
  // crypto.randomUUID is missing where the page is not served over TLS or from this machine.
  const id = [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36).padStart(2, "0")).join("");
  return { id, updated: Date.now(), messages: [] };
}

/** The beginning of what was asked first. */
export function titleOf({ messages }: Conversation): string {
  const text = messages[0]?.content.trim().replace(/\s+/g, " ") ?? "";
  return text.length > TITLE_LENGTH ? `${text.slice(0, TITLE_LENGTH).trimEnd()}…` : text || "New conversation";
}

/** The first `kept` messages, then `question` if there is one, then an answer to come. */
export function asking(conversation: Conversation, kept: number, question?: string): Conversation {
  const asked: Message[] = question === undefined ? [] : [{ role: "user", content: question }];
  return {
    ...conversation,
    updated: Date.now(),
    messages: [...conversation.messages.slice(0, kept), ...asked, emptyAnswer],
  };
}

/** With another last answer. */
export function answered(conversation: Conversation, answer: Answer): Conversation {
  return { ...conversation, messages: [...conversation.messages.slice(0, -1), answer] };
}

export function lastAnswer({ messages }: Conversation): Answer | null {
  const last = messages.at(-1);
  return last?.role === "assistant" ? last : null;
}

/** As it is found after the page was closed: an answer that was still coming is one that was stopped. */
export function settled(conversation: Conversation): Conversation {
  const answer = lastAnswer(conversation);
  return answer?.status === "streaming" ? answered(conversation, { ...answer, status: "stopped" }) : conversation;
}

/** Newest first. */
export function byAge(a: Conversation, b: Conversation): number {
  return b.updated - a.updated;
}
