/** Log-probabilities of tokens as text: each token with its spelling and where its text begins. */
import type { GeneratedToken } from "../pipeline/requests.ts";
import type { TokenLogprob } from "./messages.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** @param offset Characters before the token's own. */
export function describeToken(
  tokenizer: Tokenizer,
  { id, logprob = NaN, top = [] }: GeneratedToken,
  offset: number,
): TokenLogprob {
  return {
    ...spell(tokenizer, id),
    logprob,
    offset,
    top: top.map(([other, value]) => ({ ...spell(tokenizer, other), logprob: value })),
  };
}

function spell(tokenizer: Tokenizer, id: number): { readonly token: string; readonly bytes: readonly number[] } {
  const bytes = tokenizer.tokenBytes(id);
  return { token: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
}
