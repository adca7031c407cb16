/** Patterns and bounds of numbers against what JavaScript itself says of many texts. */
import assert from "node:assert/strict";
import { Rules } from "../../src/grammar/expression.ts";
import { quoted } from "../../src/grammar/json.ts";
import { parsePattern } from "../../src/grammar/pattern.ts";
import { generator } from "../engine/sampler_reference.ts";
import { schemaTaker, taker } from "./vocabulary.ts";

const PATTERNS = [
  "^a*b+c?$",
  "a|^b|c$",
  "^(?:ab|a)(c|bcd)$",
  "^[a-c]{2,3}?$",
  "^[^a]+$",
  "^.$",
  "^\\w\\W\\d?$",
  "^\\s*$",
  "^(a*)*$",
  "^(a|b){0,2}c{2,}$",
  "^\\u0061\\x62\\u{1F600}?$",
  "^[\\]\\-b]+$",
  "^[a\\d-]*$",
  "^\\.\\*$",
  "",
  "^$",
  "^(a{2}){1,2}$",
  "^a|b$",
  "[é😀]",
  "^()$",
  "^\\t\\n$",
  "b{0}a",
];
const ALPHABET = [
  "a",
  "b",
  "c",
  "d",
  "1",
  " ",
  ".",
  "*",
  "-",
  "]",
  "\n",
  "\t",
  "é",
  "😀",
  '"',
  "\\",
  "\u0001",
  "A",
  "_",
];

Deno.test("patterns take the texts that RegExp finds them in", () => {
  const random = generator(1);
  let found = 0;
  for (const source of PATTERNS) {
    const rules = new Rules();
    const pattern = parsePattern(source);
    const takes = taker(rules.grammar(source, quoted(pattern.expression)));
    const real = new RegExp(source, "u");
    for (let i = 0; i < 600; i++) {
      const text = Array.from(
        { length: Math.floor(random() * 5) },
        () => ALPHABET[Math.floor(random() ** 2 * ALPHABET.length)],
      ).join("");
      const expected = real.test(text);
      assert.equal(takes(JSON.stringify(text)), expected, `${source} and ${JSON.stringify(text)}`);
      const length = [...text].length;
      if (expected) assert.ok(pattern.least <= length && length <= pattern.most, `${source}: ${length}`);
      if (expected) found++;
    }
  }
  assert.ok(found > 1500, `only ${found} texts were found`);
});

Deno.test("numbers are taken exactly within their bounds", () => {
  const random = generator(2);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const near = () => Math.round((random() - 0.5) * pick([4, 40, 400]) * pick([1, 10, 100])) / pick([1, 10, 100]);
  for (let i = 0; i < 400; i++) {
    const type = pick(["integer", "number"]);
    const low = pick(["minimum", "exclusiveMinimum", null]);
    const high = pick(["maximum", "exclusiveMaximum", null]);
    const [a, b] = [near(), near()].sort((a, b) => a - b) as [number, number];
    const schema = { type, ...(low && { [low]: a }), ...(high && { [high]: b }) };
    let takes: (text: string) => boolean;
    try {
      takes = schemaTaker(schema);
    } catch (error) {
      assert.match((error as Error).message, /no finite text/);
      takes = () => false;
    }
    for (let k = 0; k < 200; k++) {
      const value = pick([a, b, near(), Math.round(near())]) + pick([0, 0, 0.01, -0.01, 1, -1]);
      const text = pick([String(Number(value.toFixed(4))), value.toFixed(3), value.toFixed(0)]);
      const number = Number(text);
      const fits = (type === "number" || /^-?\d+$/.test(text)) && // 2.0 is an integer too, but not written so
        !(low === "minimum" && number < a) && !(low === "exclusiveMinimum" && number <= a) &&
        !(high === "maximum" && number > b) && !(high === "exclusiveMaximum" && number >= b);
      if (/^-0(\.0*)?$/.test(text)) continue; // either is right
      assert.equal(takes(text), fits, `${text} for ${JSON.stringify(schema)}`);
    }
  }
});
