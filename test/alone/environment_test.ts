/** What reads or sets the process's environment, which other tests would see. */
import { strict as assert } from "node:assert";
import { installedDrivers, installedProviders } from "../../src/backend/webgpu/installed.ts";
import { leaveOutOpenGl, openProvider, spareDriverThreads } from "../../src/backend/webgpu/provider.ts";
import { ringlet } from "../cli/fake_host.ts";

Deno.test("spareDriverThreads() keeps llvmpipe in one thread on two processors, unless the user says otherwise, and openProvider() says so", () => {
  const name = "LP_NUM_THREADS";
  const before = Deno.env.get(name);
  const after = (processors: number, wanted: string | null) => {
    if (wanted === null) Deno.env.delete(name);
    else Deno.env.set(name, wanted);
    spareDriverThreads(processors);
    return Deno.env.get(name);
  };
  try {
    assert.equal(after(2, null), "0");
    assert.equal(after(2, "2"), "2");
    assert.equal(after(3, null), undefined);
    Deno.env.set(name, "2");
    assert.equal(openProvider("deno").serial, false);
    Deno.env.set(name, "0");
    assert.equal(openProvider("deno").serial, true);
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
});

Deno.test("leaveOutOpenGl() asks for Vulkan alone where there is a driver for it, unless the user says otherwise", () => {
  const name = "DENO_WEBGPU_BACKEND";
  const before = Deno.env.get(name);
  const after = (vulkan: boolean, wanted: string | null) => {
    if (wanted === null) Deno.env.delete(name);
    else Deno.env.set(name, wanted);
    leaveOutOpenGl(vulkan);
    return Deno.env.get(name);
  };
  try {
    assert.equal(after(true, null), "vulkan");
    assert.equal(after(true, "gl"), "gl");
    assert.equal(after(false, null), undefined);
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
});

Deno.test("what is installed is another if the library's file is", async () => {
  const name = "RINGLET_WGPU_NATIVE";
  const before = Deno.env.get(name);
  const file = await Deno.makeTempFile();
  const native = () => installedProviders().find(({ provider }) => provider === "wgpu-native")!;
  try {
    Deno.env.set(name, file);
    const empty = native();
    assert.equal(empty.missing, null);
    assert.ok(empty.library!.startsWith(`wgpu-native ${file} (0 bytes, `), empty.library!);
    await Deno.writeTextFile(file, "a library");
    assert.notEqual(native().library, empty.library);
    await Deno.remove(file);
    assert.equal(native().library, null);
    assert.match(native().missing!, /^Cannot find wgpu-native: RINGLET_WGPU_NATIVE names /);
  } finally {
    await Deno.remove(file).catch(() => {});
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
});

Deno.test("what is installed is another if the loader's drivers are", () => {
  const name = "VK_DRIVER_FILES";
  const before = Deno.env.get(name);
  try {
    Deno.env.set(name, "/a/driver.json");
    const one = installedDrivers();
    Deno.env.set(name, "/another/driver.json");
    assert.notEqual(installedDrivers(), one);
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
});

Deno.test("DEBUG=1 adds the stack", async () => {
  Deno.env.set("DEBUG", "1");
  try {
    const load = () => Promise.reject(new RangeError("Cannot open x"));
    const { err } = await ringlet(["generate", "Hi"], { host: { load } });
    assert.match(err, /environment_test\.ts:\d+/);
  } finally {
    Deno.env.delete("DEBUG");
  }
});
