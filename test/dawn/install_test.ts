/** Finding Dawn: where it is looked for, what is fetched from where, and how each failure reads. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { findDawn, installedDawn } from "../../src/backend/webgpu/dawn/find.ts";
import { plannedInstallation } from "../../src/backend/webgpu/dawn/install.ts";
import { loadModule } from "../../src/backend/webgpu/dawn/module.ts";
import { packageAt } from "../../src/backend/webgpu/dawn/release.ts";

const environment = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("findDawn() takes what the variable names, else what is installed, else nothing", async () => {
  const folder = await Deno.makeTempDir();
  const variables = environment({ HOME: folder });
  assert.equal(findDawn("linux", variables), null);
  const installed = installedDawn("linux", variables)!;
  assert.equal(installed, join(folder, ".cache/ringlet/dawn-0.6.2/dawn.node"));
  await Deno.mkdir(join(installed, ".."), { recursive: true });
  await Deno.writeTextFile(installed, "");
  assert.equal(findDawn("linux", variables), installed);
  assert.equal(findDawn("linux", environment({ HOME: folder, RINGLET_DAWN: "/there/or/not" })), "/there/or/not");
  assert.equal(installedDawn("linux", environment({})), null);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Dawn is fetched from the registry that is configured, and pinned", () => {
  const { url, path, version } = plannedInstallation();
  assert.equal(url, packageAt().url);
  assert.match(path, /dawn-0\.6\.2/);
  assert.equal(version, "0.6.2");
  assert.equal(packageAt("https://npm.example/all/").url, "https://npm.example/all/webgpu/-/webgpu-0.6.2.tgz");
  assert.match(packageAt().hash, /^[0-9a-f]{128}$/);
});

Deno.test("a file that is no module, or another one, is one clear sentence", async () => {
  const path = await Deno.makeTempFile({ suffix: ".node" });
  await Deno.writeTextFile(path, "text");
  assert.throws(() => loadModule(path), { name: "LibraryError", message: /^Cannot use .*\.node as Dawn: .+/ });
  await Deno.remove(path);
  assert.throws(() => loadModule("/nowhere/dawn.node"), { name: "LibraryError" });
});

Deno.test({
  name: "a library without a module in it is told to be none",
  ignore: Deno.build.os !== "linux", // where the C library is a file of a known name
  fn() {
    assert.throws(() => loadModule("libm.so.6"), { name: "LibraryError", message: /^Cannot use libm.so.6 as Dawn: / });
  },
});
