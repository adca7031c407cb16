import assert from "node:assert/strict";
import { readF32 } from "../../src/formats/quantization.ts";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import { checkTensors } from "../../src/model/check_tensors.ts";
import { loadConfig } from "../../src/model/load_config.ts";
import { expectedTensors } from "../../src/model/tensor_names.ts";
import { concat, folderOf, tinyCheckpoint } from "./tiny_checkpoint.ts";
import { type Random, randomOf } from "../random.ts";

const MUTANTS = 200;
/** A sound copy loads in 10 ms; reading nothing that a damaged header claims keeps the others as quick. */
const MAX_MILLIS = 2000;

const INDEX = "model.safetensors.index.json";
const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
const JSON_FILES = ["config.json", "generation_config.json", INDEX] as const;

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encode = (text: string) => new TextEncoder().encode(text);
const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)]!;

function flipBits(bytes: Uint8Array, random: Random, from: number, to: number): Uint8Array {
  const flipped = bytes.slice();
  for (let flips = 1 + random(3); flips > 0; flips--) flipped[from + random(to - from)]! ^= 1 << random(8);
  return flipped;
}

function headerEnd(shard: Uint8Array): number {
  return 8 + new DataView(shard.buffer).getUint32(0, true);
}

/** Rewrites the header's text and leaves the data; the length before it follows unless that is what is wrong. */
function changeHeader(shard: Uint8Array, change: (text: string) => string): Uint8Array {
  const text = encode(change(decode(shard.subarray(8, headerEnd(shard)))));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(0, text.length, true);
  return concat([length, text, shard.subarray(headerEnd(shard))]);
}

/** Values that are wrong almost anywhere. */
const NONSENSE = ["null", "-1", "0", "1e300", "0.5", '""', '"../x"', "[]", "{}", "true", "[[1]]", '{"toString":1}'];

/** Puts nonsense in the place of a random value of a JSON text. */
function replaceValue(text: string, random: Random): string {
  const values = [...text.matchAll(/(?<=[:,[])(?:"[^"]*"|-?\d[\d.]*|true|false)(?=[,}\]])/g)];
  const { 0: value, index } = pick(random, values);
  return text.slice(0, index) + pick(random, NONSENSE) + text.slice(index + value.length);
}

/** Swaps the values of two `"key":value` pairs with this key. */
function swapValues(text: string, random: Random, key: string): string {
  const values = [...text.matchAll(new RegExp(`(?<="${key}":)(?:\\[[^\\]]*\\]|"[^"]*")`, "g"))];
  const [first, second] = [pick(random, values), pick(random, values)].toSorted((a, b) => a.index - b.index);
  const [a, b] = [first![0], second![0]];
  if (first!.index === second!.index) return text;
  const between = text.slice(first!.index + a.length, second!.index);
  return text.slice(0, first!.index) + b + between + a + text.slice(second!.index + b.length);
}

/** Weights may be any number, so that most of these load; scales may not. */
const ONLY_DATA = "bits of a shard's data";

type Files = Record<string, Uint8Array>;

/** Each damages one thing of the files, in place. */
const MUTATIONS: Readonly<Record<string, (files: Files, random: Random) => void>> = {
  "bits of a header"(files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = flipBits(files[shard]!, random, 8, headerEnd(files[shard]!));
  },
  "bits of a header's length"(files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = flipBits(files[shard]!, random, 0, 8);
  },
  [ONLY_DATA](files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = flipBits(files[shard]!, random, headerEnd(files[shard]!), files[shard]!.length);
  },
  "truncation"(files, random) {
    const name = pick(random, Object.keys(files));
    files[name] = files[name]!.slice(0, random(files[name]!.length));
  },
  "offsets swapped"(files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = changeHeader(files[shard]!, (text) => swapValues(text, random, "data_offsets"));
  },
  "shapes or types swapped"(files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = changeHeader(files[shard]!, (text) => swapValues(text, random, pick(random, ["shape", "dtype"])));
  },
  "nonsense in a header"(files, random) {
    const shard = pick(random, SHARDS);
    files[shard] = changeHeader(files[shard]!, (text) => replaceValue(text, random));
  },
  "a shard renamed, missing or in the place of the other"(files, random) {
    const [shard, other] = random(2) ? SHARDS : SHARDS.toReversed() as unknown as typeof SHARDS;
    const name = pick(random, ["model.safetensors", "x.safetensors", other]);
    files[name] = files[shard]!;
    delete files[shard];
  },
  "nonsense in JSON"(files, random) {
    const name = pick(random, JSON_FILES);
    files[name] = encode(replaceValue(decode(files[name]!), random));
  },
  "bits of JSON"(files, random) {
    const name = pick(random, JSON_FILES);
    files[name] = flipBits(files[name]!, random, 0, files[name]!.length);
  },
  "a file missing or empty"(files, random) {
    const name = pick(random, Object.keys(files));
    if (random(2)) delete files[name];
    else files[name] = new Uint8Array();
  },
};

/** Everything that a stage reads of a model's folder. */
async function load(folder: string): Promise<void> {
  const config = await loadConfig(folder);
  using checkpoint = await openCheckpoint(folder);
  checkTensors(checkpoint, config);
  for (const { name } of expectedTensors(config)) await readF32(checkpoint, name, config.weightBlock);
}

/** The sentences that loading may end in. */
function sentences(folder: string): readonly RegExp[] {
  const tensor = String.raw`tensor "(?:[^"\\]|\\.)*" of "[\w.-]+"`;
  return [
    `^Cannot open ${folder} as a (?:model|checkpoint): [^\n]+$`,
    `^Cannot read ${folder}/[\\w.-]+ as safetensors: [^\n]+$`,
    `^Cannot use (?:${folder}/)?(?:generation_)?config\\.json as a model's configuration: [^\n]+$`,
    `^Cannot use ${folder} as a checkpoint of its config\\.json: [^\n]+$`,
    `^Cannot use ${tensor} as (?:a weight|scales): [^\n]+$`,
    `^Cannot find tensor "(?:[^"\\\\]|\\\\.)*" in ${folder}(?: \\(and \\d+ more such problems?\\))?$`,
  ].map((pattern) => new RegExp(pattern));
}

async function outcome(folder: string): Promise<"loaded" | "refused"> {
  try {
    await load(folder);
    return "loaded";
  } catch (error) {
    const { name, message } = error as Error;
    const known = ["CheckpointError", "SyntaxError", "RangeError", "TypeError", "NotFound"].includes(name);
    if (known && message.length < 1000 && sentences(folder).some((sentence) => sentence.test(message))) {
      return "refused";
    }
    throw error;
  }
}

Deno.test("A sound tiny checkpoint loads", async () => {
  await using folder = await folderOf(tinyCheckpoint());
  assert.equal(await outcome(folder.path), "loaded");
});

for (const [kind, mutate] of Object.entries(MUTATIONS)) {
  const count = Math.ceil(MUTANTS / Object.keys(MUTATIONS).length);
  Deno.test(
    `${count} checkpoints with ${kind} load or are refused in one sentence`,
    { sanitizeResources: true },
    async () => {
      const outcomes = { loaded: 0, refused: 0 };
      for (let seed = 1; seed <= count; seed++) {
        const files = tinyCheckpoint();
        mutate(files, randomOf(seed));
        await using folder = await folderOf(files);
        const start = performance.now();
        outcomes[await outcome(folder.path)]++;
        assert.ok(performance.now() - start < MAX_MILLIS, `seed ${seed} took too long`);
      }
      if (kind === ONLY_DATA) assert.ok(outcomes.loaded > 0, "none was loaded, so that more than data was damaged");
      else assert.ok(outcomes.refused > 0, "none was refused, so that nothing was damaged");
    },
  );
}
