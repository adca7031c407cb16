/** What is compared with an undisturbed stream differs from it in whatever way it is planted. */
import { strict as assert } from "node:assert";
import { difference, longestPause, type Reply, type Token } from "./streams.ts";

const token = (text: string, at: number, logprob = -0.5): Token => ({ chances: [[text, logprob], ["x", -2]], at });
const whole: Reply = {
  tokens: [token("a", 10), token("b", 20), token("b", 50)],
  ...{ cached: 0, finish: "length", error: null, status: 200, begun: 0, ended: 60 },
};

Deno.test("a stream is the same whenever its tokens come, and another one if one is lost, doubled, changed or late in its last bit", () => {
  const of = (...tokens: Token[]) => difference({ ...whole, tokens }, whole);
  const [a, b, c] = whole.tokens as [Token, Token, Token];
  assert.equal(of(a, { ...b, at: 700 }, c), null);
  assert.match(of(a, b)!, /its last 1 tokens are missing/);
  assert.match(of(a, a, b, c)!, /^token 1 is /);
  assert.match(of(a, b, c, c)!, /^token 3 is .* should be the end/);
  assert.match(of(a, token("c", 20), c)!, /^token 1 is /);
  assert.match(of(a, token("b", 20, -0.5 - 2 ** -53), c)!, /^token 1 is /);
  assert.match(difference({ ...whole, error: "Nobody" }, whole)!, /^it ended behind 3 tokens: Nobody/);
  assert.match(difference({ ...whole, finish: null }, whole)!, /^it ended with null/);
});

Deno.test("the longest pause is that between two tokens, before the first or behind the last", () => {
  assert.equal(longestPause(whole), 30);
  assert.equal(longestPause({ ...whole, begun: -25 }), 35);
  assert.equal(longestPause({ ...whole, ended: 99 }), 49);
});
