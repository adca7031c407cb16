/** Answers held to a schema at a vocabulary of 157,000 tokens: the trie, first and later masks, and candidates alone. */
import { answerGrammar } from "../src/chat/answer_grammar.ts";
import { tokenBytes } from "../src/chat/token_bytes.ts";
import { Tokenizer } from "../src/chat/tokenizer.ts";
import { Matcher } from "../src/grammar/matcher.ts";
import { TokenMasks } from "../src/grammar/token_masks.ts";
import { Vocabulary } from "../src/grammar/vocabulary.ts";
import { o200kJson } from "../test/chat/tokenizer_o200k.ts";

const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 40 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { type: "string" }, maxItems: 5 },
    friends: { type: "array", items: { $ref: "#" } },
  },
  required: ["name", "age", "tags", "friends"],
};
const ANSWER =
  '{"name": "Ada Lovelace of London", "age": 36, "tags": ["mathematics", "analytical engine"], "friends": ' +
  '[{"name": "Charles Babbage", "age": 79, "tags": [], "friends": []}]}';

const tokenizer = await Tokenizer.fromJson(o200kJson());
const tokens = tokenBytes(tokenizer)!;
const vocabulary = new Vocabulary(tokens, tokenizer.vocabSize);
const wishes = { responseFormat: { type: "json_schema", schema: person, strict: true } } as const;
const grammar = answerGrammar(wishes, false)!;
const answer = tokenizer.encode(ANSWER);
const candidates = Array.from(
  answer,
  (id) => Uint32Array.from({ length: 64 }, (_, i) => i === 40 ? id : (id * 97 + i * 1009) % vocabulary.size),
);
const warm = new TokenMasks(grammar, vocabulary);

function masks(kept: TokenMasks): void {
  const matcher = new Matcher(kept, []);
  for (const id of answer) {
    matcher.allowed;
    matcher.accept(id);
  }
}

Deno.bench("compile the schema", () => void answerGrammar(wishes, false));
Deno.bench("trie of the vocabulary, once for an engine", { n: 5 }, () => void new Vocabulary(tokens, vocabulary.size));
Deno.bench(
  `masks of all ${answer.length} steps, a grammar's first answer`,
  { n: 5 },
  () => masks(new TokenMasks(grammar, vocabulary)),
);
Deno.bench(`masks of all ${answer.length} steps, a later answer`, () => masks(warm));
Deno.bench(`64 candidates of all ${answer.length} steps`, () => {
  const matcher = new Matcher(warm, []);
  answer.forEach((id, i) => {
    matcher.among(candidates[i]!);
    matcher.accept(id);
  });
});
