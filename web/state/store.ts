/** All that the page shows, and everything that can be done on it. */
import { ask } from "../api/client.ts";
import { grow } from "./answering.ts";
import {
  type Answer,
  answered,
  asking,
  byAge,
  type Conversation,
  lastAnswer,
  newConversation,
  settled,
} from "./conversation.ts";
import { type ServerState, untilReady } from "./server.ts";
import { type Settings, toQuestion } from "./settings.ts";
import { conversationId, type Saved } from "./storage.ts";

export interface State {
  /** Newest first; none of them is empty. */
  readonly conversations: readonly Conversation[];
  /** The one that is open; null is one that has not begun. */
  readonly current: string | null;
  readonly settings: Settings;
  readonly server: ServerState;
  /** The last one that was deleted, until something else is done. */
  readonly deleted: Conversation | null;
  /** Something that the person should know, in one sentence. */
  readonly notice: string | null;
}

/** Milliseconds between two saves of an answer that is coming. */
const SAVE_INTERVAL = 1000;

export class Store {
  #state: State;
  readonly #saved: Saved;
  readonly #listeners = new Set<() => void>();
  /** Of each conversation that is being answered, what ends its answer. */
  readonly #running = new Map<string, AbortController>();
  readonly #savedAt = new Map<string, number>();
  #connecting: AbortController | null = null;

  constructor(saved: Saved, current: string | null) {
    this.#saved = saved;
    const conversations = saved.conversations();
    this.#state = {
      conversations,
      current: conversations.some(({ id }) => id === current) ? current : null,
      settings: saved.settings(),
      server: { status: "connecting", model: "" },
      deleted: null,
      notice: null,
    };
  }

  get state(): State {
    return this.#state;
  }

  get current(): Conversation | null {
    return this.#find(this.#state.current);
  }

  /** Whether the open conversation is being answered. */
  get answering(): boolean {
    return this.#running.has(this.#state.current ?? "");
  }

  /** Calls `listener` after each change. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  // ---------------------------------------------------------------- the server

  /** Asks for the model's name until the server tells it or wants a key. */
  async connect(): Promise<void> {
    this.#connecting?.abort();
    const connecting = this.#connecting = new AbortController();
    for await (const server of untilReady(this.#state.settings.key, connecting.signal)) {
      if (connecting.signal.aborted) return;
      this.#change({ server });
    }
  }

  // ---------------------------------------------------------------- conversations

  /** Opens a conversation; null begins a new one. */
  open(id: string | null): void {
    this.#change({ current: this.#find(id)?.id ?? null, notice: null });
  }

  delete(id: string): void {
    this.#end(id);
    const deleted = this.#find(id);
    this.#saved.remove(id);
    const conversations = this.#state.conversations.filter((each) => each.id !== id);
    this.#change({ conversations, deleted, current: this.#state.current === id ? null : this.#state.current });
  }

  undelete(): void {
    const { deleted } = this.#state;
    if (!deleted) return;
    this.#put(deleted);
    this.#save(deleted);
    this.#change({ deleted: null, current: deleted.id });
  }

  dismiss(): void {
    this.#change({ deleted: null, notice: null });
  }

  /** Takes over what another tab has written to the storage. */
  takeOver(key: string | null): void {
    const id = conversationId(key);
    if (id === null || this.#running.has(id)) return;
    const found = this.#saved.conversation(key!);
    if (found) return this.#put(found);
    this.#change({ conversations: this.#state.conversations.filter((each) => each.id !== id) });
  }

  // ---------------------------------------------------------------- questions and answers

  /** Asks the next question of the open conversation, or the first of a new one. */
  send(text: string): void {
    const conversation = this.current ?? newConversation();
    this.#ask(asking(conversation, conversation.messages.length, text));
  }

  /** Asks the last question again. */
  regenerate(): void {
    const { current } = this;
    if (current && lastAnswer(current)) this.#ask(asking(current, current.messages.length - 1));
  }

  /** Asks another question in place of the message at `index`; what came after it goes. */
  edit(index: number, text: string): void {
    if (this.current) this.#ask(asking(this.current, index, text));
  }

  stop(): void {
    this.#running.get(this.#state.current ?? "")?.abort();
  }

  changeSettings(change: Partial<Settings>): void {
    const settings = { ...this.#state.settings, ...change };
    this.#keep(() => this.#saved.saveSettings(settings));
    this.#change({ settings });
    if (change.key !== undefined) this.connect();
  }

  /** Ends all answers and keeps what has come of them, as the page closes. */
  close(): void {
    for (const id of this.#running.keys()) {
      this.#end(id);
      this.#save(this.#find(id)!);
    }
  }

  async #ask(conversation: Conversation): Promise<void> {
    const { id } = conversation;
    this.#running.get(id)?.abort();
    const controller = new AbortController();
    this.#running.set(id, controller);
    this.#put(conversation);
    this.#save(conversation);
    this.#change({ current: id, deleted: null, notice: null });
    const { signal } = controller;
    const { settings, server } = this.#state;
    const question = toQuestion(withoutAnswer(conversation), settings, server.model);
    const tell = (answer: Answer) => {
      if (this.#running.get(id) === controller) this.#answer(id, answer);
    };
    await grow(ask(question, settings.key, signal), { signal, now: () => performance.now(), tell });
  }

  #answer(id: string, answer: Answer): void {
    const conversation = answered(this.#find(id)!, answer);
    const over = answer.status !== "streaming";
    if (over) this.#running.delete(id);
    this.#put(conversation);
    if (over || Date.now() - (this.#savedAt.get(id) ?? 0) > SAVE_INTERVAL) this.#save(conversation);
    if (answer.failure?.kind === "locked" || answer.failure?.kind === "down") this.connect();
  }

  /** Ends an answer without waiting for it. */
  #end(id: string): void {
    this.#running.get(id)?.abort();
    if (this.#running.delete(id)) this.#put(settled(this.#find(id)!));
  }

  #find(id: string | null): Conversation | null {
    return this.#state.conversations.find((each) => each.id === id) ?? null;
  }

  #put(conversation: Conversation): void {
    const others = this.#state.conversations.filter(({ id }) => id !== conversation.id);
    this.#change({ conversations: [conversation, ...others].sort(byAge) });
  }

  #save(conversation: Conversation): void {
    this.#savedAt.set(conversation.id, Date.now());
    this.#keep(() => this.#saved.save(conversation));
  }

  #keep(write: () => void): void {
    try {
      write();
    } catch {
      this.#change({ notice: "This browser has no room for more: delete some conversations to keep new ones." });
    }
  }

  #change(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** What is sent: all but the answer that is to come. */
function withoutAnswer(conversation: Conversation): Conversation {
  return { ...conversation, messages: conversation.messages.slice(0, -1) };
}
