import assert from "node:assert/strict";
import { openCheckpoint } from "../../src/formats/safetensors.ts";
import {
  concat,
  f32,
  type Files,
  folderOf,
  type HeaderEntry,
  prefix,
  safetensors,
  type TinyTensor,
  withHeader,
} from "./tiny_checkpoint.ts";

const MODEL = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const RING_NANO = new URL("../../models/ring-nano", import.meta.url).pathname;

const a: TinyTensor = { name: "a", dtype: "F32", shape: [2, 3], data: f32(0, 1, 2, 3, 4, 5) };
const b: TinyTensor = { name: "b", dtype: "BF16", shape: [2], data: Uint8Array.of(1, 2, 3, 4) };

Deno.test(
  "openCheckpoint() reads a single file: entries, whole tensors and rows",
  { sanitizeResources: true },
  async () => {
    const odd = [
      { name: "int", dtype: "I64", shape: [1], data: new Uint8Array(8) },
      { name: "scalar", dtype: "U8", shape: [], data: Uint8Array.of(9) },
      { name: "nibbles", dtype: "F4", shape: [3, 2], data: Uint8Array.of(1, 2, 3) },
      { name: "empty", dtype: "F32", shape: [0, 5], data: new Uint8Array() },
    ];
    await using folder = await folderOf({ [MODEL]: safetensors([a, b, ...odd]) });
    using checkpoint = await openCheckpoint(folder.path);
    assert.deepEqual([...checkpoint.tensors.keys()], ["a", "b", "int", "scalar", "nibbles", "empty"]);
    const { begin, end, ...entry } = checkpoint.entry("a");
    assert.deepEqual(entry, { name: "a", dtype: "F32", shape: [2, 3], shard: MODEL });
    assert.equal(end - begin, 24);
    assert.equal(checkpoint.bytes, 24 + 4 + 8 + 1 + 3);
    assert.equal(checkpoint.has("b"), true);
    assert.equal(checkpoint.has("c"), false);
    assert.deepEqual(await checkpoint.read("a"), Uint8Array.from(a.data));
    assert.deepEqual(await checkpoint.read("a", 1), new Uint8Array(f32(3, 4, 5)));
    assert.deepEqual(await checkpoint.read("a", 0, 1), new Uint8Array(f32(0, 1, 2)));
    assert.deepEqual(await checkpoint.read("b", 1, 1), Uint8Array.of(3, 4));
    assert.deepEqual(await checkpoint.read("scalar"), Uint8Array.of(9));
    assert.deepEqual(await checkpoint.read("nibbles", 2), Uint8Array.of(3));
    assert.deepEqual(await checkpoint.read("empty"), new Uint8Array());
  },
);

Deno.test("openCheckpoint() reads shards by their index", { sanitizeResources: true }, async () => {
  await using folder = await folderOf({
    "one.safetensors": safetensors([a]),
    "two.safetensors": safetensors([b]),
    [INDEX]: JSON.stringify({
      metadata: { total_size: 28 },
      weight_map: { b: "two.safetensors", a: "one.safetensors" },
    }),
  });
  using checkpoint = await openCheckpoint(folder.path);
  assert.equal(checkpoint.entry("b").shard, "two.safetensors");
  assert.equal(checkpoint.bytes, 28);
  const [first, second] = await Promise.all([checkpoint.read("a"), checkpoint.read("b")]);
  assert.deepEqual(first, Uint8Array.from(a.data));
  assert.deepEqual(second, b.data);
});

Deno.test("openCheckpoint() reads the embedded model", { sanitizeResources: true }, async () => {
  using checkpoint = await openCheckpoint(RING_NANO);
  assert.equal(checkpoint.tensors.size, 559);
  assert.deepEqual(checkpoint.entry("model.word_embeddings.weight").shape, [4096, 256]);
  assert.equal(checkpoint.entry("model.layers.1.mlp.gate.expert_bias").dtype, "F32");
});

Deno.test("Checkpoint.read() refuses rows and tensors that are not there", async () => {
  await using folder = await folderOf({ [MODEL]: safetensors([a]) });
  using checkpoint = await openCheckpoint(folder.path);
  await assert.rejects(checkpoint.read("a", 1, 2), {
    name: "RangeError",
    message: 'Cannot read 2 rows from 1 of "a": it has 2 rows',
  });
  await assert.rejects(checkpoint.read("a", 3), /Cannot read -1 rows from 3 of "a": both must be whole numbers/);
  await assert.rejects(checkpoint.read("a", 0.5, 1), /Cannot read 1 rows from 0.5 of "a": both must be whole numbers/);
  await assert.rejects(checkpoint.read("c"), {
    name: "CheckpointError",
    message: `Cannot find tensor "c" in ${folder.path}`,
  });
});

/** A single file whose tensor `a` the header describes with these changes. */
function described(changes: HeaderEntry): Files {
  return { [MODEL]: safetensors([a], (header) => ({ ...header, a: { ...header.a, ...changes } })) };
}

/** Shards that hold what they are given, and an index. */
function sharded(weightMap: unknown, shards: Files = {}): Files {
  return { ...shards, [INDEX]: JSON.stringify({ weight_map: weightMap }) };
}

const TYPES = "F4, F6_E2M3, F6_E3M2, BOOL, U8, I8, F8_E4M3, F8_E5M2, F8_E8M0, " +
  "U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64, C64";

/** What is wrong, the folder, and the message after "Cannot read FOLDER/model.safetensors as safetensors: ". */
const BAD_FILES: readonly (readonly [string, Files, string])[] = [
  [
    "a file without room for a header",
    { [MODEL]: "1234567" },
    "it has 7 bytes, and the length of its header alone takes 8",
  ],
  [
    "a header of 2^60 bytes",
    { [MODEL]: concat([prefix(2n ** 60n), f32(1)]) },
    "it claims a header of 1152921504606846976 bytes, and the format allows 100000000",
  ],
  [
    "a header that is cut short",
    { [MODEL]: concat([prefix(99n), new Uint8Array(10)]) },
    "it claims a header of 99 bytes and has only 10 more; it may be cut short",
  ],
  ["a header that is not JSON", { [MODEL]: withHeader('{"a":\n{') }, "its header is not JSON"],
  ["a header that is not UTF-8", { [MODEL]: withHeader(Uint8Array.of(0x22, 0xff, 0x22)) }, "its header is not JSON"],
  ["a header of deep nesting", { [MODEL]: withHeader("[".repeat(200_000)) }, "its header is not JSON"],
  ["a header that is a list", { [MODEL]: withHeader("[1]") }, "its header is not a JSON object"],
  ["a header that is null", { [MODEL]: withHeader("null") }, "its header is not a JSON object"],
  ["a tensor that is a number", { [MODEL]: withHeader('{"a":1}') }, 'tensor "a" is not described by a JSON object'],
  ["an unknown dtype", described({ dtype: "Q4" }), `tensor "a" has dtype "Q4", not one of ${TYPES}`],
  ["a dtype of another type", described({ dtype: 5 }), `tensor "a" has dtype 5, not one of ${TYPES}`],
  [
    "a dtype named like a method",
    described({ dtype: "toString" }),
    `tensor "a" has dtype "toString", not one of ${TYPES}`,
  ],
  ["a missing dtype", described({ dtype: undefined }), `tensor "a" has dtype missing, not one of ${TYPES}`],
  ["a negative size", described({ shape: [-2, -3] }), 'tensor "a" has shape [-2,-3], not a list of whole numbers'],
  ["a fractional size", described({ shape: [1.5, 4] }), 'tensor "a" has shape [1.5,4], not a list of whole numbers'],
  ["a size that is text", described({ shape: ["6"] }), 'tensor "a" has shape ["6"], not a list of whole numbers'],
  ["a size above 2^53", described({ shape: [1e300] }), 'tensor "a" has shape [1e+300], not a list of whole numbers'],
  ["a missing shape", described({ shape: undefined }), 'tensor "a" has shape missing, not a list of whole numbers'],
  [
    "a product above 2^53",
    described({ shape: [2 ** 30, 2 ** 30] }),
    'tensor "a" has shape [1073741824,1073741824], more than 2^53 bits',
  ],
  [
    "a product above 2^53 hidden by a zero",
    described({ shape: [2 ** 50, 2 ** 50, 0], data_offsets: [0, 0] }),
    'tensor "a" has shape [1125899906842624,1125899906842624,0], more than 2^53 bits',
  ],
  [
    "an extent that does not fit the shape",
    described({ shape: [2, 4] }),
    'tensor "a" takes bytes 0 to 24, and F32 [2,4] needs 32 bytes',
  ],
  [
    "an extent that does not fit the dtype",
    described({ dtype: "BF16" }),
    'tensor "a" takes bytes 0 to 24, and BF16 [2,3] needs 12 bytes',
  ],
  [
    "an extent that runs backwards",
    described({ data_offsets: [24, 0] }),
    'tensor "a" takes bytes 24 to 0, and F32 [2,3] needs 24 bytes',
  ],
  [
    "an extent out of range",
    described({ data_offsets: [24, 48] }),
    'tensor "a" ends at byte 48 of 24 bytes of data; the file may be cut short',
  ],
  [
    "an extent beyond 2^53",
    described({ data_offsets: [0, 1e30] }),
    'tensor "a" has data_offsets [0,1e+30], not a pair of whole numbers',
  ],
  [
    "offsets that are no pair",
    described({ data_offsets: [0, 12, 24] }),
    'tensor "a" has data_offsets [0,12,24], not a pair of whole numbers',
  ],
  [
    "offsets that are an object",
    described({ data_offsets: { 0: 0, 1: 24 } }),
    'tensor "a" has data_offsets {"0":0,"1":24}, not a pair of whole numbers',
  ],
  [
    "a truncated file",
    { [MODEL]: safetensors([a]).slice(0, -1) },
    'tensor "a" ends at byte 24 of 23 bytes of data; the file may be cut short',
  ],
  [
    "overlapping tensors",
    { [MODEL]: safetensors([a, b], (header) => ({ ...header, b: { ...header.b, data_offsets: [20, 24] } })) },
    'tensor "b" overlaps tensor "a"',
  ],
  [
    "two tensors in one place",
    { [MODEL]: safetensors([a], (header) => ({ ...header, b: header.a! })) },
    'tensor "b" overlaps tensor "a"',
  ],
  [
    "a gap between tensors",
    { [MODEL]: safetensors([a, b], ({ b }) => ({ b: b! })) },
    'there is a gap of 24 bytes before tensor "b"',
  ],
  [
    "bytes of no tensor",
    { [MODEL]: concat([safetensors([a]), f32(1)]) },
    '4 bytes follow tensor "a" and belong to no tensor',
  ],
  [
    "a name that would break the message",
    { [MODEL]: withHeader(JSON.stringify({ ["\n\u001b[31m" + "x".repeat(500)]: 1 })) },
    `tensor "\\n\\u001b[31m${"x".repeat(114)}…" is not described by a JSON object`,
  ],
];

for (const [name, files, message] of BAD_FILES) {
  Deno.test(`openCheckpoint() refuses ${name}`, { sanitizeResources: true }, async () => {
    await using folder = await folderOf(files);
    await assert.rejects(openCheckpoint(folder.path), {
      name: "CheckpointError",
      message: `Cannot read ${folder.path}/${MODEL} as safetensors: ${message}`,
    });
  });
}

const notAFile = (shard: string) => `the index puts tensor "a" in ${shard}, not a file NAME.safetensors`;

/** What is wrong, the folder, and the message after "Cannot open FOLDER as a checkpoint: ". */
const BAD_FOLDERS: readonly (readonly [string, Files, string])[] = [
  ["an empty folder", {}, `it holds neither ${MODEL} nor ${INDEX}`],
  ["an index that is not JSON", { [INDEX]: '{"weight_map"' }, `${INDEX} is not JSON`],
  ["an index that is null", { [INDEX]: "null" }, `${INDEX} has no object "weight_map"`],
  ["an index without a weight map", { [INDEX]: "{}" }, `${INDEX} has no object "weight_map"`],
  ["a weight map that is a list", sharded(["a"]), `${INDEX} has no object "weight_map"`],
  ["an index of nothing", sharded({}), `${INDEX} lists no tensor`],
  ["a shard that is a number", sharded({ a: 1 }), notAFile("1")],
  ["a shard that is an odd object", sharded({ a: { toString: 1 } }), notAFile('{"toString":1}')],
  ["a shard outside the folder", sharded({ a: "../../etc/passwd" }), notAFile('"../../etc/passwd"')],
  [
    "a shard outside the folder with the right ending",
    sharded({ a: "../x.safetensors" }),
    notAFile('"../x.safetensors"'),
  ],
  ["a shard at an absolute path", sharded({ a: "/etc/x.safetensors" }), notAFile('"/etc/x.safetensors"')],
  ["a shard on another drive", sharded({ a: "C:\\x.safetensors" }), notAFile('"C:\\\\x.safetensors"')],
  [
    "a shard with a name that is too long",
    sharded({ a: `${"x".repeat(300)}.safetensors` }),
    notAFile(`"${"x".repeat(119)}…`),
  ],
  [
    "a missing shard",
    sharded({ a: "one.safetensors", b: "two.safetensors" }, { "one.safetensors": safetensors([a]) }),
    'its index names "two.safetensors", which is not there; the download may be incomplete',
  ],
  [
    "an index that names a tensor which its shard lacks",
    sharded({ a: "one.safetensors", b: "one.safetensors" }, { "one.safetensors": safetensors([a]) }),
    'the index puts tensor "b" in "one.safetensors", which does not hold it',
  ],
  [
    "an index that confuses its shards",
    sharded({ a: "two.safetensors", b: "one.safetensors" }, {
      "one.safetensors": safetensors([a]),
      "two.safetensors": safetensors([b]),
    }),
    'the index puts tensor "a" in "two.safetensors", which does not hold it',
  ],
  [
    "a tensor in two shards",
    sharded({ a: "one.safetensors", b: "two.safetensors" }, {
      "one.safetensors": safetensors([a]),
      "two.safetensors": safetensors([b, a]),
    }),
    'tensor "a" is in both "one.safetensors" and "two.safetensors"',
  ],
];

for (const [name, files, message] of BAD_FOLDERS) {
  Deno.test(`openCheckpoint() refuses ${name}`, { sanitizeResources: true }, async () => {
    await using folder = await folderOf(files);
    await assert.rejects(openCheckpoint(folder.path), {
      name: "CheckpointError",
      message: `Cannot open ${folder.path} as a checkpoint: ${message}`,
    });
  });
}

Deno.test("openCheckpoint() refuses a folder that is not there, and a shard that is a folder", async () => {
  await using folder = await folderOf(sharded({ a: "one.safetensors" }));
  await Deno.mkdir(`${folder.path}/one.safetensors`);
  await assert.rejects(openCheckpoint(folder.path), {
    name: "CheckpointError",
    message: `Cannot read ${folder.path}/one.safetensors as a file: it is a folder, a pipe or a device`,
  });
  await assert.rejects(openCheckpoint(`${folder.path}/none`), {
    name: "CheckpointError",
    message: `Cannot open ${folder.path}/none as a checkpoint: there is no such folder`,
  });
});
