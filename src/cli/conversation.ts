/** A conversation's turns and what can be changed about it. */
import type { ChatMessage, ChatRequest, Delta } from "../chat/messages.ts";

export class Conversation {
  system: string | undefined;
  thinking: boolean;
  #turns: ChatMessage[] = [];

  constructor({ system, thinking }: { readonly system: string | undefined; readonly thinking: boolean }) {
    this.system = system;
    this.thinking = thinking;
  }

  /** Everything said so far. */
  get messages(): ChatMessage[] {
    return [...(this.system ? [{ role: "system" as const, content: this.system }] : []), ...this.#turns];
  }

  clear(): void {
    this.#turns = [];
  }

  /** Passes an answer on and remembers it, as far as it came; a question without any answer is forgotten. */
  async *ask(question: string, answer: (request: Pick<ChatRequest, "messages" | "thinking">) => AsyncIterable<Delta>) {
    const asked: ChatMessage = { role: "user", content: question };
    const messages = [...this.messages, asked];
    let content = "", reasoning = "";
    try {
      for await (const delta of answer({ messages, ...(this.thinking ? {} : { thinking: false }) })) {
        if (delta.type === "content") content += delta.text;
        if (delta.type === "reasoning") reasoning += delta.text;
        yield delta;
      }
    } finally {
      const thought = reasoning === "" ? {} : { reasoning_content: reasoning };
      if (content !== "") this.#turns.push(asked, { role: "assistant", content, ...thought });
    }
  }
}
