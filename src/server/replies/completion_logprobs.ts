/** Log-probabilities as completions have had them from the beginning: lists side by side. */
import type { TokenLogprob } from "../../chat/messages.ts";
import type { CompletionLogprobs } from "../schema/completions.ts";
import { finite } from "./common.ts";

type Spelled = Pick<TokenLogprob, "token" | "bytes">;

/** Of one choice, piece by piece. Offsets, which come in UTF-16 units, go out as Unicode characters. */
export class CompletionLogprobsWriter {
  #text = "";
  #units = 0;
  #characters = 0;

  /** @param text The text that has the first characters of `tokens`, after what was pushed before. */
  push(text: string, tokens: readonly TokenLogprob[]): CompletionLogprobs {
    this.#text += text;
    if (tokens.length === 0) return null;
    return {
      tokens: tokens.map(spell),
      token_logprobs: tokens.map(({ logprob }) => Number.isNaN(logprob) ? null : finite(logprob)),
      top_logprobs: tokens.map((token) => Number.isNaN(token.logprob) ? null : toTop(token)),
      text_offset: tokens.map(({ offset }) => this.#charactersUpTo(offset)),
    };
  }

  /** Offsets never fall, so that all of the text is counted once. */
  #charactersUpTo(units: number): number {
    this.#characters += [...this.#text.slice(this.#units, units)].length;
    this.#units = Math.max(this.#units, units);
    return this.#characters;
  }
}

/** The likeliest tokens and the one in their place. */
function toTop(token: TokenLogprob): Record<string, number> {
  return Object.fromEntries([token, ...token.top].map((one) => [spell(one), finite(one.logprob)]));
}

/** A token that is no whole characters by its bytes, since others would be spelled alike. */
function spell({ token, bytes }: Spelled): string {
  if (!token.includes("\ufffd")) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
}
