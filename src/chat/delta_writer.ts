/** Makes deltas of generated tokens: text of whole characters, parsed, cut at a stop text, each log-probability with its text. */
import type { GeneratedToken } from "../pipeline/requests.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { Delta, TokenLogprob } from "./messages.ts";
import { OUTPUT_TAGS, type OutputParser, type ParsedPiece } from "./output_parser.ts";
import { StopMatcher } from "./stop_matcher.ts";
import { describeToken } from "./token_logprob.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Deltas that carry text. */
export type TextDelta = Exclude<Delta, { readonly type: "finish" }>;

/**
 * A token's log-probability comes with the delta that has the first of its characters, or the next one if these were
 * dropped. Tokens after a stop text have none.
 */
export class DeltaWriter {
  readonly #tokenizer: Tokenizer;
  readonly #parser: OutputParser | null;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopMatcher;
  readonly #before: number;
  /** Characters generated so far. */
  #length = 0;
  /** With where the text of each begins. */
  #waiting: { readonly start: number; readonly logprob: TokenLogprob }[] = [];
  /** Where the content so far ends, be it for a stop text. */
  #contentEnd = 0;
  #last: TextDelta = { type: "content", text: "" };
  #tokens = 0;
  #reasoningTokens = 0;

  /**
   * @param parser Null makes content of everything.
   * @param stop Texts that end the answer. They are looked for in its content alone: a thought does not end by them.
   * @param before Characters that were written before the answer, which the tokens' offsets count as well.
   */
  constructor(tokenizer: Tokenizer, parser: OutputParser | null, stop: readonly string[], before = 0) {
    this.#tokenizer = tokenizer;
    this.#parser = parser;
    this.#detokenizer = new Detokenizer(tokenizer);
    this.#stops = new StopMatcher(stop);
    this.#before = before;
  }

  /** Whether a stop text has ended the answer. */
  get stopped(): boolean {
    return this.#stops.stopped;
  }

  /** Tokens up to the one that closed the thought, if there was a thought. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** Takes the next token, which must be none that ends the answer. */
  push(token: GeneratedToken): TextDelta[] {
    const thinking = this.#parser?.thinking;
    if (token.logprob !== undefined) {
      this.#waiting.push({
        start: this.#length,
        logprob: describeToken(this.#tokenizer, token, this.#before + this.#length),
      });
    }
    const deltas = this.#isHidden(token.id) ? [] : this.#write(this.#detokenizer.push(token.id));
    this.#tokens++;
    if (thinking || this.#parser?.thinking) this.#reasoningTokens = this.#tokens;
    return deltas;
  }

  /** What was held back, when no more tokens follow. */
  end(): TextDelta[] {
    const deltas = this.#write(this.#detokenizer.flush());
    if (this.#parser) deltas.push(...this.#route(this.#parser.end()));
    deltas.push(...this.#flushContent());
    const end = this.stopped ? this.#contentEnd : Infinity;
    const rest = this.#waiting.some(({ start }) => start < end);
    return rest ? [...deltas, this.#withLogprobs(emptied(this.#last), end)] : deltas;
  }

  /** Special tokens have no text, but for the tags that the parser looks for. */
  #isHidden(id: number): boolean {
    return this.#tokenizer.isSpecial(id) &&
      !(this.#parser && OUTPUT_TAGS.includes(this.#tokenizer.decode([id])));
  }

  #write(text: string): TextDelta[] {
    if (text === "") return [];
    this.#length += text.length;
    return this.#route(this.#parser?.push(text) ?? [{ type: "content", text, end: this.#length }]);
  }

  #route(pieces: readonly ParsedPiece[]): TextDelta[] {
    return pieces.flatMap((piece) => {
      if (this.stopped) return [];
      if (piece.type === "content") return this.#content(piece.text, piece.end);
      const { end, ...delta } = piece;
      const id = delta.type === "tool_call" && delta.name !== undefined ? { id: newCallId() } : {};
      return [...this.#flushContent(), this.#withLogprobs({ ...delta, ...id }, end)];
    });
  }

  #content(text: string, end: number): TextDelta[] {
    const start = end - text.length - this.#stops.held;
    const shown = this.#stops.push(text);
    this.#contentEnd = this.stopped ? start + shown.length : end;
    return shown === "" ? [] : [this.#withLogprobs({ type: "content", text: shown }, start + shown.length)];
  }

  #flushContent(): TextDelta[] {
    const text = this.#stops.flush();
    return text === "" ? [] : [this.#withLogprobs({ type: "content", text }, this.#contentEnd)];
  }

  #withLogprobs(delta: TextDelta, end: number): TextDelta {
    const after = this.#waiting.findIndex(({ start }) => start >= end);
    const ready = this.#waiting.splice(0, after < 0 ? this.#waiting.length : after);
    this.#last = delta;
    return ready.length === 0 ? delta : { ...delta, logprobs: ready.map(({ logprob }) => logprob) };
  }
}

function emptied(delta: TextDelta): TextDelta {
  return delta.type === "tool_call"
    ? { type: "tool_call", index: delta.index, arguments: "" }
    : { type: delta.type, text: "" };
}

function newCallId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
