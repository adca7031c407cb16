/** `auto` from end to end: measured by real probes, remembered, and taken by what is opened; planted tables where it matters who wins. */
import { strict as assert } from "node:assert";
import { compareProviders } from "../../src/load/measured_providers.ts";
import { chooseDevice } from "../../src/load/settle.ts";
import { engineOptions } from "../../src/load/engine_options.ts";
import { type Computer, EMBEDDED_MODEL } from "../../src/mod.ts";
import { stageConfig } from "../../src/stage/open.ts";
import { deviceIdentity, hasHardwareGpu } from "../../src/stage/devices.ts";
import { type Figures, measureProviders } from "../../src/stage/providers.ts";
import project from "../../deno.json" with { type: "json" };
import { MISSING, testOnBuiltIn } from "../gpu.ts";

const HARDWARE = await hasHardwareGpu() ? "a GPU that is more than the CPU goes first here" : null;

async function inFolder(test: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/devices.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Remembers a table in which software on Deno's adapter is `part` as slow as WASM. */
async function plant(file: string, part: number, identity: string): Promise<void> {
  const figures: Figures = {
    ...{ device: "llvmpipe", identity, hardware: false, features: [], matrixFlops: null },
    ...{ roundTripMillis: 0, recordMicros: 0, dispatchMicros: 0, bandwidth: 1e10, flops: 1e10 },
  };
  const probe = (computer: Computer): Promise<Figures> => {
    if (computer === "wasm") return Promise.resolve(figures);
    if (computer !== "deno") return Promise.reject(new Error("left out"));
    return Promise.resolve({ ...figures, bandwidth: 1e10 / part, flops: 1e10 / part });
  };
  await measureProviders({ file, version: project.version, threads: 1, onMeasure: () => {}, probe });
}

testOnBuiltIn(
  "compareProviders() measures all that are here when asked to, and auto takes the best from then on",
  async () => {
    await inFolder(async (deviceFile) => {
      const measured: Computer[] = [];
      const compare = (anew: boolean) => compareProviders({ deviceFile }, anew, (computer) => measured.push(computer));
      await plant(deviceFile, 0.5, (await deviceIdentity("deno"))!);
      const planted = await compare(false);
      assert.equal(measured.length, 0, "what is remembered is not measured again");
      const { rows, chosen, ...anew } = await compare(true);
      assert.notEqual(anew.measured, planted.measured);
      assert.equal(measured[0], "deno");
      for (const { computer, figures, prediction, error } of rows) {
        assert.equal(figures === null, error !== null, computer);
        assert.equal(measured.includes(computer), !error?.startsWith("Cannot find"), computer);
        if (figures && prediction) assert.ok(prediction.replyMillis > prediction.promptMillis, computer);
      }
      assert.equal((await compare(false)).measured, anew.measured);
      assert.equal((await chooseDevice({ deviceFile })).reason, chosen!.reason);
      const { gpu } = await chooseDevice({ deviceFile, backend: "webgpu" });
      const config = await stageConfig({ model: EMBEDDED_MODEL, ropeScaling: null });
      assert.deepEqual((await engineOptions({ deviceFile, backend: "webgpu" }, config)).gpus, gpu);
    });
  },
  MISSING,
);

testOnBuiltIn(
  "auto takes software only where it was measured to be faster than WASM, on the adapter that is still there",
  async () => {
    await inFolder(async (deviceFile) => {
      const chosen = async () => (await chooseDevice({ deviceFile })).backend;
      assert.equal(await chosen(), "wasm", "nothing is measured");
      const identity = (await deviceIdentity("deno"))!;
      await plant(deviceFile, 0.5, identity);
      assert.equal(await chosen(), "webgpu");
      await plant(deviceFile, 2, identity);
      assert.equal(await chosen(), "wasm");
      await plant(deviceFile, 0.5, "deno: another adapter");
      assert.equal(await chosen(), "wasm");
    });
  },
  MISSING ?? HARDWARE,
);

Deno.test("what is named by hand is taken without a reason, and measures nothing", async () => {
  const onMeasure = () => assert.fail("it measures");
  assert.deepEqual(await chooseDevice({ backend: "webgpu", gpu: "wgpu-native:1" }, onMeasure), {
    ...{ backend: "webgpu", gpu: ["wgpu-native:1"], reason: null },
  });
  assert.deepEqual(await chooseDevice({ backend: "wasm" }, onMeasure), {
    backend: "wasm",
    gpu: ["deno"],
    reason: null,
  });
  const both = ["deno", "wgpu-native"] as const;
  assert.deepEqual((await chooseDevice({ backend: "wasm", gpu: both }, onMeasure)).gpu, both);
});
