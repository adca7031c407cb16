/** Fetching libraries: what is checked of an archive, what is taken out of it, and how each failure reads. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { fetchPinned, type Pinned, putProven } from "../../src/backend/webgpu/libraries/pinned.ts";
import { untar } from "../../src/backend/webgpu/libraries/untar.ts";
import { unzip } from "../../src/backend/webgpu/libraries/unzip.ts";

/** Serves bytes; returns their address. */
function serve(answer: () => Response): Deno.HttpServer<Deno.NetAddr> & { readonly url: string } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  return Object.assign(server, { url: `http://127.0.0.1:${server.addr.port}/archive` });
}

Deno.test("fetchPinned() gives what was pinned, tells how far it is, and refuses everything else", async () => {
  const content = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
  await using server = serve(() => new Response(content));
  const told: number[] = [];
  const pinned = { url: server.url, bytes: content.length, algorithm: "SHA-256", hash } as const;
  assert.deepEqual(await fetchPinned(pinned, (done) => told.push(done)), content);
  assert.equal(told.at(-1), content.length);
  const refused = (changes: Partial<Pinned>, message: RegExp) =>
    assert.rejects(fetchPinned({ ...pinned, ...changes }, () => {}), { name: "LibraryError", message });
  await refused({ hash: "0".repeat(64) }, /its SHA-256 is [0-9a-f]{64}, and should be 0{64}$/);
  await refused({ bytes: 99_999 }, /it has more than 99999 bytes/);
  await refused({ bytes: 100_001 }, /its SHA-256 is/);
  await refused({ url: "http://127.0.0.1:1/" }, /^Cannot fetch http:\/\/127.0.0.1:1\/: /);
  await using missing = serve(() => new Response("", { status: 404 }));
  await refused({ url: missing.url }, /the server answers 404/);
});

Deno.test("putProven() gives a library its name once it is proven, and else leaves what was there", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "new", "library.so");
  const proven: string[] = [];
  await putProven(path, Uint8Array.of(1), (unproven) => proven.push(unproven));
  assert.match(proven[0]!, /\.so$/);
  assert.notEqual(proven[0], path);
  const refuse = () => {
    throw new TypeError("it is none");
  };
  await assert.rejects(putProven(path, Uint8Array.of(2), refuse), { name: "TypeError", message: "it is none" });
  assert.deepEqual(await Deno.readFile(path), Uint8Array.of(1));
  assert.deepEqual(Array.from(Deno.readDirSync(join(folder, "new")), ({ name }) => name), ["library.so"]);
  await Deno.remove(folder, { recursive: true });
});

/** A compressed archive as npm makes it: a folder and files, the last of which is cut short. */
async function tarball(files: Readonly<Record<string, string>>, cut = 0): Promise<Uint8Array<ArrayBuffer>> {
  const blocks = Object.entries(files).map(([name, text]) => {
    const block = new Uint8Array(512 + Math.ceil(text.length / 512) * 512);
    const put = (text: string, at: number) => block.set(new TextEncoder().encode(text), at);
    put(name, 0);
    put(`${text.length.toString(8).padStart(11, "0")}\0`, 124);
    put(name.endsWith("/") ? "5" : "0", 156);
    put(text, 512);
    return block;
  });
  const all = new Blob([...blocks, new Uint8Array(1024)]);
  const stream = all.slice(0, all.size - cut).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("untar() takes the wanted files out of an archive, and refuses what is none or is cut short", async () => {
  const files = { "package/": "", "package/a.node": "a".repeat(1000), "package/b.txt": "b", "package/c.node": "" };
  const found = await untar(await tarball(files), (name) => name.endsWith(".node") || name.endsWith("/"));
  assert.deepEqual([...found].map(([name, content]) => [name, new TextDecoder().decode(content)]), [
    ["package/a.node", "a".repeat(1000)],
    ["package/c.node", ""],
  ]);
  const cut = await tarball({ "package/a.node": "a".repeat(1000) }, 1024 + 100);
  await assert.rejects(untar(cut, () => true), { name: "SyntaxError", message: /it ends within package\/a\.node$/ });
  await assert.rejects(untar(new TextEncoder().encode("no archive"), () => true), TypeError);
});

/** An archive of a file that is deflated and one that is stored, as zip writes them. */
async function archive(): Promise<Uint8Array<ArrayBuffer>> {
  const deflate = async (text: string) =>
    new Uint8Array(
      await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer(),
    );
  const files = [
    { name: "a/deflated.txt", method: 8, data: await deflate("deflated ".repeat(100)) },
    { name: "a/stored.txt", method: 0, data: new TextEncoder().encode("stored") },
  ];
  const bytes: number[] = [], directory: number[] = [];
  const word = (value: number, size: number) => Array.from({ length: size }, (_, i) => value >>> 8 * i & 0xff);
  for (const { name, method, data } of files) {
    const path = [...new TextEncoder().encode(name)];
    const common = [
      ...word(20, 2),
      ...word(0, 2),
      ...word(method, 2),
      ...word(0, 8),
      ...word(data.length, 4),
      ...word(0, 4),
    ];
    const at = bytes.length;
    directory.push(
      ...word(0x02014b50, 4),
      ...word(20, 2),
      ...common,
      ...word(path.length, 2),
      ...word(0, 12),
      ...word(at, 4),
    );
    directory.push(...path);
    bytes.push(...word(0x04034b50, 4), ...common, ...word(path.length, 2), ...word(3, 2), ...path, 1, 2, 3, ...data);
  }
  const end = [...word(0x06054b50, 4), ...word(0, 4), ...word(2, 2), ...word(2, 2), ...word(directory.length, 4)];
  return Uint8Array.from([...bytes, ...directory, ...end, ...word(bytes.length, 4), ...word(0, 2)]);
}

Deno.test("unzip() takes one file out of an archive, and refuses what is none", async () => {
  const zip = await archive();
  const text = async (name: string) => {
    const content = await unzip(zip, (each) => each === name);
    return content && new TextDecoder().decode(content);
  };
  assert.equal(await text("a/deflated.txt"), "deflated ".repeat(100));
  assert.equal(await text("a/stored.txt"), "stored");
  assert.equal(await text("a/none.txt"), null);
  await assert.rejects(unzip(zip.slice(0, 40), () => true), { name: "SyntaxError", message: /no directory/ });
  zip[zip.length - 6]! ^= 1; // where the directory begins
  await assert.rejects(unzip(zip, () => true), { name: "SyntaxError", message: /broken/ });
});
