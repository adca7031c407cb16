/** Conversations and settings in the browser's storage; what cannot be read there is left alone. */
import { byAge, type Conversation, settled } from "./conversation.ts";
import { defaults, type Settings } from "./settings.ts";

const SETTINGS = "ringlet.settings";
const CONVERSATION = "ringlet.conversation.";

/** What is needed of `localStorage`. */
export type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

export class Saved {
  constructor(readonly shelf: Shelf) {}

  settings(): Settings {
    return { ...defaults, ...asObject(this.shelf.getItem(SETTINGS)) };
  }

  /** @throws {DOMException} where there is no room. */
  saveSettings(settings: Settings): void {
    this.shelf.setItem(SETTINGS, JSON.stringify(settings));
  }

  /** Newest first. */
  conversations(): Conversation[] {
    const keys = Array.from({ length: this.shelf.length }, (_, at) => this.shelf.key(at) ?? "");
    return keys.map((key) => this.conversation(key)).filter((found) => found !== null).sort(byAge);
  }

  /** The conversation at a key of the storage; null where there is none. */
  conversation(key: string): Conversation | null {
    if (!key.startsWith(CONVERSATION)) return null;
    const found = asObject(this.shelf.getItem(key)) as Partial<Conversation>;
    const { id, updated, messages } = found;
    const whole = key === CONVERSATION + id && typeof updated === "number" && Array.isArray(messages) &&
      messages.every((message) => typeof message?.role === "string" && typeof message.content === "string");
    return whole ? settled(found as Conversation) : null;
  }

  /** @throws {DOMException} where there is no room. */
  save(conversation: Conversation): void {
    this.shelf.setItem(CONVERSATION + conversation.id, JSON.stringify(conversation));
  }

  remove(id: string): void {
    this.shelf.removeItem(CONVERSATION + id);
  }
}

/** The id of the conversation at a key; null where it is another's key. */
export function conversationId(key: string | null): string | null {
  return key?.startsWith(CONVERSATION) ? key.slice(CONVERSATION.length) : null;
}

/** The browser's storage, or one that lasts as long as the page where a browser refuses it. */
export function openShelf(): Shelf {
  try {
    localStorage.getItem(SETTINGS);
    return localStorage;
  } catch {
    return new MemoryShelf();
  }
}

class MemoryShelf implements Shelf {
  readonly #items = new Map<string, string>();
  getItem = (key: string) => this.#items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.#items.set(key, value);
  removeItem = (key: string) => void this.#items.delete(key);
  key = (at: number) => [...this.#items.keys()][at] ?? null;
  get length() {
    return this.#items.size;
  }
}

function asObject(text: string | null): Record<string, unknown> {
  try {
    const value = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
