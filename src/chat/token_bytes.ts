/** What each token adds to an answer's text, as grammars need it. */
import { shareTokenBytes } from "../grammar/vocabulary.ts";
import type { TokenBytes } from "../pipeline/requests.ts";
import { OUTPUT_TAGS } from "./output_parser.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The bytes of all tokens; special ones have none, but for the tags. Null where a token's text depends on its neighbours. */
export function tokenBytes(tokenizer: Tokenizer): TokenBytes | null {
  if (!tokenizer.byteLevel) return null;
  const hidden = new Set(
    tokenizer.addedTokens.filter((token) => token.special && !OUTPUT_TAGS.includes(token.content)),
  );
  const ids = new Set([...hidden].map(({ id }) => id));
  const none = new Uint8Array();
  return shareTokenBytes(tokenizer.vocabSize, (id) => ids.has(id) ? none : tokenizer.tokenBytes(id));
}
