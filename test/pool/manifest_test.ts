/** Manifests are read with suspicion. */
import { strict as assert } from "node:assert";
import { type Manifest, type ModelFile, piecesOf, readManifest } from "../../src/pool/models/manifest.ts";

const hash = "0f".repeat(32);
const file: ModelFile = { name: "model.safetensors", bytes: 25, pieces: [hash, hash, hash] };
const good: Manifest = {
  ...{ format: 1, name: "small", id: "0123456789abcdef", pushed: "2026-01-02T03:04:05.678Z", pieceBytes: 10 },
  files: [file],
};

const read = (value: unknown) => readManifest("small", new TextEncoder().encode(JSON.stringify(value)));

Deno.test("readManifest() gives what was written", () => {
  assert.deepEqual(read(good), good);
  const extracts = [{ start: 0, content: "AAAA" }, { start: 20, content: "AAAAAAA=" }];
  assert.deepEqual(read({ ...good, files: [{ ...file, extracts }] }).files[0]!.extracts, extracts);
  const large = { ...file, bytes: 2 ** 24, pieces: [hash] };
  const header = { start: 0, content: new Uint8Array(2 ** 24).toBase64() };
  assert.equal(read({ ...good, pieceBytes: 2 ** 24, files: [{ ...large, extracts: [header] }] }).files.length, 1);
  assert.deepEqual(read({ ...good, files: [{ name: "empty", bytes: 0, pieces: [] }] }).files[0]!.bytes, 0);
});

Deno.test("readManifest() refuses in one sentence what could lead out of the folder or is not consistent", () => {
  const wrong: readonly (readonly [what: string, value: unknown, why: RegExp])[] = [
    ...["../up", "/etc/passwd", "a/b", "a\\b", "..", ".", ".profile", "", "x".repeat(201), "a\u0000", "C:x", "a."].map(
      (name) =>
        [`a file ${JSON.stringify(name)}`, { ...good, files: [{ ...file, name }] }, /in files\.0\.name/] as const,
    ),
    ["two of one name", { ...good, files: [file, { ...file, name: "Model.safetensors" }] }, /one name/],
    ["a piece too few", { ...good, files: [{ ...file, bytes: 31 }] }, /as many as its bytes/],
    ["a piece too many", { ...good, files: [{ ...file, bytes: 20 }] }, /as many as its bytes/],
    ["negative bytes", { ...good, files: [{ ...file, bytes: -1 }] }, /in files\.0\.bytes/],
    ["half a byte", { ...good, files: [{ ...file, bytes: 24.5 }] }, /in files\.0\.bytes/],
    ["a hash that is none", { ...good, files: [{ ...file, pieces: [hash, hash, "x"] }] }, /in files\.0\.pieces\.2/],
    [
      "bytes behind its end",
      { ...good, files: [{ ...file, extracts: [{ start: 20, content: "AAAAAAAA" }] }] },
      /not in the file/,
    ],
    [
      "bytes before it",
      { ...good, files: [{ ...file, extracts: [{ start: -1, content: "AAAA" }] }] },
      /extracts\.0\.start/,
    ],
    ["bytes that are none", { ...good, files: [{ ...file, extracts: [{ start: 0, content: "A!" }] }] }, /extracts\.0/],
    ["pieces without bytes", { ...good, pieceBytes: 0 }, /in pieceBytes/],
    ["pieces that no memory holds", { ...good, pieceBytes: 2 ** 40 }, /in pieceBytes/],
    ["an id that leads elsewhere", { ...good, id: "../other/0123456" }, /in id/],
    ["another name", { ...good, name: "other" }, /is another model's/],
    ["another version", { ...good, format: 2 }, /another version of Ringlet/],
    ["a list", [], /another version of Ringlet/],
    ["null", null, /another version of Ringlet/],
  ];
  for (const [what, value, why] of wrong) {
    assert.throws(() => read(value), { name: "ModelStoreError", message: why }, what);
  }
  assert.throws(() => readManifest("small", new Uint8Array([0x7b, 0xff])), { message: /is not JSON; push it again$/ });
});

Deno.test("piecesOf() covers a file without a gap", () => {
  const pieces = (bytes: number) => [...piecesOf({ name: "f", bytes }, 10)].map(({ start, bytes }) => [start, bytes]);
  assert.deepEqual(pieces(25), [[0, 10], [10, 10], [20, 5]]);
  assert.deepEqual(pieces(20), [[0, 10], [10, 10]]);
  assert.deepEqual(pieces(0), []);
});
