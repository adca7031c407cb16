/** The prompt of a raw completion as the beginning of its own answer. */
import type { GeneratedToken, ScoreRows } from "../pipeline/requests.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { Delta } from "./messages.ts";
import { describeToken } from "./token_logprob.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * One delta with the whole prompt, special tokens as they are spelled.
 *
 * @param scored Log-probabilities of all its tokens, in order, where they are wanted.
 */
export async function echoPrompt(
  tokenizer: Tokenizer,
  tokens: Uint32Array,
  scored: AsyncIterable<ScoreRows> | null,
): Promise<Extract<Delta, { type: "content" }>> {
  const detokenizer = new Detokenizer(tokenizer);
  const offsets: number[] = [];
  let text = "";
  for (const id of tokens) {
    offsets.push(text.length);
    text += detokenizer.push(id);
  }
  text += detokenizer.flush();
  if (!scored) return { type: "content", text };
  const found: Omit<GeneratedToken, "id">[] = [];
  for await (const { logprobs, top = [] } of scored) {
    logprobs.forEach((logprob, i) => found.push({ logprob, top: top[i] ?? [] }));
  }
  const describe = (id: number, i: number) => describeToken(tokenizer, { id, ...found[i] }, offsets[i]!);
  return { type: "content", text, logprobs: Array.from(tokens, describe) };
}
