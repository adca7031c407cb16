/** Stop texts, wherever the pieces of the text are cut. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { StopMatcher } from "../../src/chat/stop_matcher.ts";

function run(pieces: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  const shown = pieces.map((piece) => matcher.push(piece)).join("");
  return { text: shown + matcher.flush(), stopped: matcher.stopped };
}

/** The definition: read on until the text ends with a stop text. */
function byDefinition(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let length = 1; length <= text.length; length++) {
    const read = text.slice(0, length);
    const [longest] = stops.filter((stop) => read.endsWith(stop)).sort((a, b) => b.length - a.length);
    if (longest !== undefined) return { text: read.slice(0, read.length - longest.length), stopped: true };
  }
  return { text, stopped: false };
}

Deno.test("StopMatcher ends before the stop text, as by definition, for every way of cutting the text", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "\n", "🙂"), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), fc.array(word, { maxLength: 3 }), (pieces, stops) => {
      assert.deepEqual(run(pieces, stops), byDefinition(pieces.join(""), stops));
    }),
    { numRuns: 5000 },
  );
});

Deno.test("push() holds back no more than a beginning of a stop text", () => {
  const matcher = new StopMatcher(["END", "\n\nUser:"]);
  assert.equal(matcher.push("one\n"), "one");
  assert.equal(matcher.held, 1);
  assert.equal(matcher.push("two E"), "\ntwo ");
  assert.equal(matcher.push("N"), "");
  assert.equal(matcher.push("E"), "EN");
  assert.equal(matcher.push("ND and more"), "");
  assert.equal(matcher.stopped, true);
  assert.equal(matcher.push("more"), "");
  assert.equal(matcher.flush(), "");
});
