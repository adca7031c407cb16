/** Finding the library, and fetching it: where it is looked for, what is checked, and how each failure reads. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { findLibrary, installedLibrary } from "../../../src/backend/webgpu/wgpu_native/find.ts";
import { fetchWheel, plannedInstallation } from "../../../src/backend/webgpu/wgpu_native/install.ts";
import { Library } from "../../../src/backend/webgpu/wgpu_native/library.ts";
import { WHEELS } from "../../../src/backend/webgpu/wgpu_native/releases.ts";
import { unzip } from "../../../src/backend/webgpu/wgpu_native/unzip.ts";

async function withFolder(test: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const environment = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("findLibrary() takes what the variable names, else what is installed, else what the system's path has", async () => {
  await withFolder(async (folder) => {
    const variables = environment({ HOME: folder, LD_LIBRARY_PATH: `/nowhere:${join(folder, "lib")}` });
    const refused = (message: RegExp, wanted = variables) =>
      assert.throws(() => findLibrary("linux", wanted), { name: "LibraryError", message });
    const found = (path: string) => Deno.statSync(path) && path;
    await Deno.mkdir(join(folder, "lib"));
    await Deno.writeTextFile(join(folder, "lib", "libwgpu_native.so"), "");
    assert.equal(findLibrary("linux", variables), found(join(folder, "lib", "libwgpu_native.so")));
    const installed = installedLibrary("linux", variables)!;
    await Deno.mkdir(join(installed, ".."), { recursive: true });
    await Deno.writeTextFile(installed, "");
    assert.equal(findLibrary("linux", variables), installed);
    const named = environment({ HOME: folder, RINGLET_WGPU_NATIVE: join(folder, "lib", "libwgpu_native.so") });
    assert.equal(findLibrary("linux", named), join(folder, "lib", "libwgpu_native.so"));
    refused(
      /^Cannot find wgpu-native: RINGLET_WGPU_NATIVE names \/no, and/,
      environment({ RINGLET_WGPU_NATIVE: "/no" }),
    );
  });
  assert.throws(() => findLibrary("haiku", environment({})), {
    message:
      /^Cannot find wgpu-native: there is no libwgpu_native.so; "ringlet devices --install wgpu-native" fetches it/,
  });
});

Deno.test("installedLibrary() lies in the cache that each system has", () => {
  const folder = "ringlet/wgpu-native-29.0.1.1";
  const of = (os: string, variables: Record<string, string>) => installedLibrary(os, environment(variables));
  assert.equal(of("linux", { HOME: "/home/r" }), `/home/r/.cache/${folder}/libwgpu_native.so`);
  assert.equal(of("linux", { HOME: "/home/r", XDG_CACHE_HOME: "/c" }), `/c/${folder}/libwgpu_native.so`);
  assert.equal(of("darwin", { HOME: "/Users/r" }), `/Users/r/Library/Caches/${folder}/libwgpu_native.dylib`);
  assert.equal(of("windows", { LOCALAPPDATA: "/l" }), `/l/${folder}/wgpu_native.dll`);
  assert.equal(of("linux", {}), null);
});

Deno.test("a file that is no library, or another one, is one clear sentence", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "text.so");
    await Deno.writeTextFile(path, "text");
    assert.throws(() => new Library(path), {
      name: "LibraryError",
      message: /^Cannot use .*text.so as wgpu-native: .+/,
    });
    assert.throws(() => new Library(join(folder, "none.so")), { name: "LibraryError" });
  });
});

Deno.test({
  name: "a library without wgpuGetVersion is told to be another one",
  ignore: Deno.build.os !== "linux", // where the C library is a file of a known name
  fn() {
    assert.throws(() => new Library("libm.so.6"), {
      name: "LibraryError",
      message: "Cannot use libm.so.6 as wgpu-native: it is another library",
    });
  },
});

/** Serves bytes; returns their address. */
function serve(answer: () => Response): Deno.HttpServer<Deno.NetAddr> & { readonly url: string } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  return Object.assign(server, { url: `http://127.0.0.1:${server.addr.port}/wheel` });
}

Deno.test("fetchWheel() gives what was pinned, tells how far it is, and refuses everything else", async () => {
  const content = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
  await using server = serve(() => new Response(content));
  const told: number[] = [];
  const wheel = { url: server.url, bytes: content.length, sha256 };
  assert.deepEqual(await fetchWheel(wheel, (done) => told.push(done)), content);
  assert.equal(told.at(-1), content.length);
  const refused = (changes: Partial<typeof wheel>, message: RegExp) =>
    assert.rejects(fetchWheel({ ...wheel, ...changes }, () => {}), { name: "LibraryError", message });
  await refused({ sha256: "0".repeat(64) }, /its SHA-256 is [0-9a-f]{64}, and should be 0{64}$/);
  await refused({ bytes: 99_999 }, /it has more than 99999 bytes/);
  await refused({ bytes: 100_001 }, /its SHA-256 is/);
  await refused({ url: "http://127.0.0.1:1/" }, /^Cannot fetch http:\/\/127.0.0.1:1\/: /);
  await using missing = serve(() => new Response("", { status: 404 }));
  await refused({ url: missing.url }, /the server answers 404/);
});

Deno.test("plannedInstallation() names the wheel of this computer, and all wheels are pinned", () => {
  const { url, bytes, path } = plannedInstallation();
  assert.deepEqual([url, bytes], [
    WHEELS[`${Deno.build.os} ${Deno.build.arch}`]!.url,
    WHEELS[`${Deno.build.os} ${Deno.build.arch}`]!.bytes,
  ]);
  assert.match(path, /wgpu-native-29/);
  for (const wheel of Object.values(WHEELS)) assert.match(wheel.sha256, /^[0-9a-f]{64}$/);
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
