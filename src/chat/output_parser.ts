/** Parts a model's text, as it comes, into reasoning, content and tool calls. */
import { partialSuffix } from "./partial_suffix.ts";
import { ArgumentScanner, CALL_END, CALL_START, readCallHead, readCallTail } from "./tool_call.ts";

export const THOUGHT_START = "<think>";
export const THOUGHT_END = "</think>";

/** The tags that a model writes itself. */
export const OUTPUT_TAGS: readonly string[] = [THOUGHT_START, THOUGHT_END, CALL_START, CALL_END];

/** `end` counts the characters of the text up to the end of this piece, those that belong to no piece included. */
export type ParsedPiece =
  | { readonly type: "reasoning" | "content"; readonly text: string; readonly end: number }
  /** The first piece of an index has the name; arguments arrive in pieces. */
  | {
    readonly type: "tool_call";
    readonly index: number;
    readonly name?: string;
    readonly arguments: string;
    readonly end: number;
  };

export interface OutputParserOptions {
  /** The prompt ends inside a thought. Without this only an opening tag at the very beginning starts one. */
  readonly thinking: boolean;
  /** Look for tool calls; else their tags are content like any text. */
  readonly tools: boolean;
}

type State = "opening" | "thought" | "thought_text" | "answer" | "content" | "call_head" | "arguments" | "call_tail";

/**
 * The pieces, joined by their kind, do not depend on how the text is cut (spec e.3). Line breaks around a thought and
 * next to a tool call are dropped, as the template writes them anew. A call that is broken before its arguments begin is
 * content, tags included; one that breaks later keeps what its arguments are so far, and the rest is content.
 */
export class OutputParser {
  readonly #options: OutputParserOptions;
  #state: State = "opening";
  /** What is not decided yet. */
  #buffer = "";
  #taken = 0;
  #calls = 0;
  #afterCall = false;
  #scanner = new ArgumentScanner();
  #ended = false;
  #pieces: ParsedPiece[] = [];

  constructor(options: OutputParserOptions) {
    this.#options = options;
  }

  /** Whether the text so far ends inside a thought. */
  get thinking(): boolean {
    return this.#state.startsWith("thought") || (this.#state === "opening" && this.#options.thinking);
  }

  /** Tool calls begun so far. */
  get calls(): number {
    return this.#calls;
  }

  /** Whether the text so far has a whole call, and no further one has begun. */
  get behindCall(): boolean {
    return this.#calls > 0 && this.#state === "content";
  }

  push(text: string): ParsedPiece[] {
    this.#buffer += text;
    return this.#drain();
  }

  /** The text ends here: what was held back comes out. */
  end(): ParsedPiece[] {
    this.#ended = true;
    return this.#drain();
  }

  #drain(): ParsedPiece[] {
    while (this.#buffer !== "" && this.#step());
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  /** Decides a beginning of the buffer; false if it takes more text to do so. */
  #step(): boolean {
    switch (this.#state) {
      case "opening":
        return this.#opening();
      case "thought":
      case "answer":
        return this.#skipLineBreaks();
      case "thought_text":
        return this.#thought();
      case "content":
        return this.#content();
      case "call_head":
        return this.#callHead();
      case "arguments":
        return this.#arguments();
      case "call_tail":
        return this.#callTail();
    }
  }

  #opening(): boolean {
    const text = this.#buffer.trimStart();
    if (text.startsWith(THOUGHT_START)) {
      this.#take(this.#buffer.length - text.length + THOUGHT_START.length);
      return this.#enter("thought");
    }
    if (!this.#ended && THOUGHT_START.startsWith(text)) return false;
    return this.#enter(this.#options.thinking ? "thought" : "content");
  }

  #skipLineBreaks(): boolean {
    this.#take(/^\n*/.exec(this.#buffer)![0].length);
    return this.#buffer !== "" && this.#enter(this.#state === "thought" ? "thought_text" : "content");
  }

  #thought(): boolean {
    const end = this.#buffer.indexOf(THOUGHT_END);
    if (end < 0) return this.#emitUndoubted("reasoning", THOUGHT_END);
    this.#emit("reasoning", lengthWithoutLineBreaks(this.#buffer.slice(0, end)));
    this.#take(this.#buffer.indexOf(THOUGHT_END) + THOUGHT_END.length);
    return this.#enter("answer");
  }

  #content(): boolean {
    if (!this.#options.tools) return this.#emit("content", this.#buffer.length);
    const start = this.#buffer.indexOf(CALL_START);
    if (start < 0) return this.#emitUndoubted("content", CALL_START);
    this.#emit("content", lengthWithoutLineBreaks(this.#buffer.slice(0, start)));
    return this.#enter("call_head");
  }

  /** The buffer begins with line breaks and the opening tag, which are content if no call follows. */
  #callHead(): boolean {
    const start = this.#buffer.indexOf(CALL_START) + CALL_START.length;
    const head = readCallHead(this.#buffer.slice(start), this.#ended);
    if (head === undefined) return false;
    if (head === null) {
      this.#emit("content", start);
      return this.#enter("content");
    }
    this.#take(start + head.length);
    this.#calls++;
    this.#emitCall({ name: head.name, arguments: head.arguments ?? "" });
    this.#scanner = new ArgumentScanner();
    return this.#enter(head.arguments === undefined ? "arguments" : "call_tail");
  }

  #arguments(): boolean {
    const { length, done } = this.#scanner.scan(this.#buffer, this.#ended);
    const text = this.#take(length);
    if (text !== "") this.#emitCall({ arguments: text });
    return done && this.#enter("call_tail");
  }

  #callTail(): boolean {
    const length = readCallTail(this.#buffer, this.#ended);
    if (length === undefined) return false;
    this.#take(length);
    this.#afterCall = true;
    return this.#enter("content");
  }

  /** Emits all that can be neither part of `tag` nor of the line breaks before it. */
  #emitUndoubted(type: "reasoning" | "content", tag: string): boolean {
    if (this.#ended) {
      if (this.#afterCall && /^\n*$/.test(this.#buffer)) this.#take(this.#buffer.length);
      return this.#emit(type, this.#buffer.length);
    }
    const sure = this.#buffer.slice(0, this.#buffer.length - partialSuffix(this.#buffer, [tag]));
    this.#emit(type, lengthWithoutLineBreaks(sure));
    return false;
  }

  #emit(type: "reasoning" | "content", length: number): boolean {
    const text = this.#take(length);
    if (text === "") return false;
    this.#afterCall = false;
    this.#pieces.push({ type, text, end: this.#taken });
    return true;
  }

  #emitCall(part: { readonly name?: string; readonly arguments: string }): void {
    this.#pieces.push({ type: "tool_call", index: this.#calls - 1, ...part, end: this.#taken });
  }

  #take(length: number): string {
    const text = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    this.#taken += length;
    return text;
  }

  #enter(state: State): true {
    this.#state = state;
    return true;
  }
}

function lengthWithoutLineBreaks(text: string): number {
  let length = text.length;
  while (text[length - 1] === "\n") length--;
  return length;
}
