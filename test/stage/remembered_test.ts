/** Measurements of devices are remembered in a file, which may be missing, broken or out of reach. */
import { strict as assert } from "node:assert";
import { cacheFile, type Measurement, measurementOf, recall, remember } from "../../src/stage/remembered.ts";

const KEY = { device: "deno: a GPU (1 2)", kernels: "abc" };

const ofNumber = measurementOf((value: unknown): value is number => typeof value === "number");
const ofText = measurementOf((value: unknown): value is string => typeof value === "string");

function measurement<T>(chosen: T): Measurement<T> {
  return { chosen, measured: "2026-01-02T03:04:05.678Z", timings: [{ choice: chosen, millis: 1.5 }] };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("cacheFile() is where each system has caches", () => {
  const all = { HOME: "/home/a", LOCALAPPDATA: "/local", XDG_CACHE_HOME: "/cache" };
  const file = (os: string, variables: Readonly<Record<string, string>>) => cacheFile(os, (name) => variables[name]);
  const { XDG_CACHE_HOME: _, ...plain } = all;
  assert.equal(file("linux", all), "/cache/ringlet/devices.json");
  assert.equal(file("linux", plain), "/home/a/.cache/ringlet/devices.json");
  assert.equal(file("linux", { ...plain, XDG_CACHE_HOME: "" }), "/home/a/.cache/ringlet/devices.json");
  assert.equal(file("darwin", plain), "/home/a/Library/Caches/ringlet/devices.json");
  assert.equal(file("windows", plain), "/local/ringlet/devices.json");
  for (const os of ["linux", "darwin", "windows"]) assert.equal(file(os, {}), null);
});

Deno.test("what was remembered is recalled, for the same device, kernels and question only", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/new/folder/devices.json`;
    assert.equal(await recall(file, KEY, "rows", ofNumber), null);
    await remember(file, KEY, "rows", measurement(512));
    await remember(file, KEY, "more", measurement(2));
    await remember(file, { ...KEY, device: "another" }, "rows", measurement(1024));
    assert.deepEqual(await recall(file, KEY, "rows", ofNumber), measurement(512));
    assert.deepEqual(await recall(file, KEY, "more", ofNumber), measurement(2));
    assert.equal(await recall(file, KEY, "less", ofNumber), null);
    assert.equal(await recall(file, { ...KEY, device: "a third" }, "rows", ofNumber), null);
    assert.equal(await recall(file, { ...KEY, kernels: "abd" }, "rows", ofNumber), null);
    assert.equal(await recall(file, KEY, "rows", ofText), null);
    await remember(file, { ...KEY, kernels: "abd" }, "rows", measurement(256));
    assert.equal(await recall(file, KEY, "rows", ofNumber), null, "other kernels take the old ones' place");
    assert.equal((await recall(file, { ...KEY, device: "another" }, "rows", ofNumber))?.chosen, 1024);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(`${folder}/new/folder`))).map(({ name }) => name), [
      "devices.json",
    ]);
  });
});

Deno.test("a broken file is as good as none, and is written anew", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/devices.json`;
    const broken = { kernels: KEY.kernels, choices: { rows: { chosen: 512 } } };
    const others = [{}, null, { kernels: KEY.kernels }, { kernels: KEY.kernels, choices: null }, broken];
    const texts = ["", "{", "null", "[]", "7", ...others.map((entry) => JSON.stringify({ [KEY.device]: entry }))];
    for (const text of texts) {
      await Deno.writeTextFile(file, text);
      assert.equal(await recall(file, KEY, "rows", ofNumber), null, text);
      await remember(file, KEY, "rows", measurement(1024));
      assert.equal((await recall(file, KEY, "rows", ofNumber))?.chosen, 1024, text);
    }
  });
});

Deno.test("a file that cannot be written is no error, and nothing is left behind", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/taken`, "");
    await remember(`${folder}/taken/devices.json`, KEY, "rows", measurement(1));
    assert.equal(await recall(`${folder}/taken/devices.json`, KEY, "rows", ofNumber), null);
    await Deno.mkdir(`${folder}/devices.json`);
    await remember(`${folder}/devices.json`, KEY, "rows", measurement(1));
    await remember(null, KEY, "rows", measurement(1));
    assert.equal(await recall(null, KEY, "rows", ofNumber), null);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort(), [
      "devices.json",
      "taken",
    ]);
  });
});
