/** Finding wgpu-native: where it is looked for, what is fetched, and how each failure reads. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { findLibrary, installedLibrary } from "../../../src/backend/webgpu/wgpu_native/find.ts";
import { plannedInstallation } from "../../../src/backend/webgpu/wgpu_native/install.ts";
import { Library } from "../../../src/backend/webgpu/wgpu_native/library.ts";
import { WHEELS } from "../../../src/backend/webgpu/wgpu_native/releases.ts";

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

Deno.test("plannedInstallation() names the wheel of this computer, and all wheels are pinned", () => {
  const { url, bytes, path } = plannedInstallation();
  assert.deepEqual([url, bytes], [
    WHEELS[`${Deno.build.os} ${Deno.build.arch}`]!.url,
    WHEELS[`${Deno.build.os} ${Deno.build.arch}`]!.bytes,
  ]);
  assert.match(path, /wgpu-native-29/);
  for (const wheel of Object.values(WHEELS)) assert.match(wheel.hash, /^[0-9a-f]{64}$/);
});
