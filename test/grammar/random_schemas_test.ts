/** Answers to random schemas, sampled hot from random rows: each parses and is valid by another validator. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { Matcher } from "../../src/grammar/matcher.ts";
import { TokenMasks } from "../../src/grammar/token_masks.ts";
import { Vocabulary } from "../../src/grammar/vocabulary.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import type { Grammar } from "../../src/pipeline/requests.ts";
import { CountedRow, generator, NEUTRAL, normal } from "../engine/sampler_reference.ts";
import { schemas } from "./random_schemas.ts";
import { END, schemaGrammar, SHARED, textOf, TOKENS } from "./vocabulary.ts";

const SCHEMAS = 1000;
const MOST_TOKENS = 600;

/** One for all schemas: each would compile the schema of schemas first. */
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);

const sampler = await Sampler.create(TOKENS.length, SHARED);
const vocabulary = new Vocabulary(SHARED, TOKENS.length);
const closing = TOKENS.flatMap((bytes, id) =>
  ['"', "}", "]", '"}', '"]', "}}", "]}"].includes(latin1(bytes)) ? [id] : []
);

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** Rows of random logits in which what closes is a little likelier, so that answers end. */
const rows = Array.from({ length: 500 }, (_, seed) => randomRow(generator(seed)));

function randomRow(random: () => number): CountedRow {
  const row = Float32Array.from(TOKENS, () => 2 * normal(random));
  for (const id of [...closing, END]) row[id]! += 5 * random();
  return new CountedRow(row, 16);
}

/** The answer's tokens, or null if it was not over in time. */
async function answer(grammar: Grammar, seed: number): Promise<number[] | null> {
  const random = generator(seed);
  const sequence = sampler.sequence({ ...NEUTRAL, temperature: 1.5, seed }, new Uint32Array(), grammar, [END]);
  const ids: number[] = [];
  while (ids.length < MOST_TOKENS) {
    const { id } = await sequence.sample(rows[Math.floor(random() * rows.length)]!, null);
    if (id === END) return ids;
    ids.push(id);
  }
  return null;
}

/** The mask allows what the automaton takes byte by byte, token for token, all along an answer. */
function checkMasks(grammar: Grammar, ids: readonly number[]): void {
  const matcher = new Matcher(new TokenMasks(grammar, vocabulary), [END]);
  for (const id of ids) {
    const { bits, count } = matcher.allowed;
    const allowed = TOKENS.map((_, id) => matcher.allows(id));
    assert.deepEqual(TOKENS.map((_, id) => (bits[id >>> 5]! >>> (id & 31) & 1) === 1), allowed);
    assert.equal(count, allowed.filter((one) => one).length);
    matcher.accept(id);
  }
  assert.ok(matcher.allows(END));
}

Deno.test("answers to random schemas at temperature 1.5 parse, are valid, and end where the value does", async () => {
  const counts = { finished: 0, cut: 0, empty: 0 };
  let seed = 0;
  const property = fc.asyncProperty(schemas, fc.boolean(), async (schema, strict) => {
    const validate = ajv.compile(schema as object);
    let grammar: Grammar;
    try {
      grammar = schemaGrammar(schema, strict);
    } catch (error) {
      assert.equal((error as Error).message, "Cannot compile a grammar that no finite text fits");
      counts.empty++;
      return;
    }
    const ids = await answer(grammar, seed++);
    if (ids === null) return void counts.cut++;
    counts.finished++;
    const text = textOf(ids);
    assert.ok(validate(JSON.parse(text)), `${text} for ${JSON.stringify(schema)}: ${ajv.errorsText(validate.errors)}`);
    if (counts.finished % 20 === 0) checkMasks(grammar, ids);
  });
  await fc.assert(property, { numRuns: SCHEMAS, seed: 20, endOnFailure: true });
  assert.ok(counts.finished > 0.9 * SCHEMAS, JSON.stringify(counts));
});
