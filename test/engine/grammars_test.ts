/** Which grammars are kept: those asked for last, as far as they have room. */
import assert from "node:assert/strict";
import { Grammars } from "../../src/engine/grammars.ts";
import type { Grammar } from "../../src/pipeline/requests.ts";
import { END, schemaGrammar, SHARED, TOKENS } from "../grammar/vocabulary.ts";

const MOST_BYTES = 6e6;
const texts = (seed: number) => ({ enum: Array.from({ length: 200 }, (_, i) => `text ${1000 * seed + i}`) });

/** Begins an answer in a grammar and follows it for two tokens; how many bytes that had to work out. */
function follow(grammars: Grammars, grammar: Grammar): number {
  grammars.giveUp();
  const matcher = grammars.matcher(grammar, [END]);
  const before = grammars.bytes;
  for (const byte of new TextEncoder().encode('"t')) {
    assert.ok(matcher.allowed.count > 0);
    matcher.accept(byte);
  }
  return grammars.bytes - before;
}

Deno.test("Grammars are worked out once, up to so many bytes of all, and then those asked for longest ago go", () => {
  const grammars = new Grammars(SHARED, TOKENS.length, MOST_BYTES);
  const [first, second] = [schemaGrammar(texts(1)), schemaGrammar(texts(2))];
  const size = follow(grammars, first);
  assert.ok(size > 1e5 && size < MOST_BYTES / 4, `${size} bytes`);
  assert.equal(follow(grammars, first), 0, "it is kept");
  assert.ok(follow(grammars, second) > 1e5);
  for (let seed = 3; seed < 40; seed++) {
    follow(grammars, schemaGrammar(texts(seed)));
    assert.equal(follow(grammars, first), 0, "what is asked for again stays");
    assert.ok(grammars.bytes <= MOST_BYTES + 2 * size, `${grammars.bytes} bytes with ${seed}`);
  }
  assert.ok(grammars.bytes > MOST_BYTES / 2, `only ${grammars.bytes} bytes are used`);
  assert.ok(follow(grammars, second) > 1e5, "what was asked for longest ago went");
});

Deno.test("Grammars keep one that takes more than all may, as long as no other is asked for", () => {
  const grammars = new Grammars(SHARED, TOKENS.length, 1);
  const grammar = schemaGrammar(texts(1));
  assert.ok(follow(grammars, grammar) > 1e5);
  assert.equal(follow(grammars, grammar), 0);
  follow(grammars, schemaGrammar({ enum: ["t"] }));
  assert.ok(follow(grammars, grammar) > 1e5);
});
