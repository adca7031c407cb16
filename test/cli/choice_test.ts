/** Commands settle who computes before they open a model, and tell of it. */
import { strict as assert } from "node:assert";
import { deviceName } from "../../src/cli/device.ts";
import type { Host } from "../../src/cli/host.ts";
import { content, finish } from "../server/scripted_model.ts";
import { ringlet } from "./fake_host.ts";

const REASON = "a reply is predicted to take less";

const chooseDevice: Host["chooseDevice"] = (_, onMeasure) => {
  onMeasure("wgpu-native");
  return Promise.resolve({ backend: "webgpu", gpu: ["wgpu-native"], reason: REASON });
};

Deno.test("generate opens the model as was settled, and tells of measurements alone", async () => {
  const { err, loaded } = await ringlet(["generate", "Hi"], { script: [content("x"), finish], host: { chooseDevice } });
  assert.equal(err, "Measuring wgpu-native, once on this computer\n");
  const [{ backend, gpu }] = loaded as [(typeof loaded)[0]];
  assert.deepEqual([backend, gpu], ["webgpu", ["wgpu-native"]]);
});

Deno.test("commands ask for the best provider, unless one is named", async () => {
  const asked: unknown[] = [];
  const heard: Host["chooseDevice"] = (options, onMeasure) => {
    asked.push(options.gpu);
    return chooseDevice(options, onMeasure);
  };
  for (const flags of [[], ["--gpu", "auto"], ["--gpu", "deno"]]) {
    await ringlet(["generate", "Hi", ...flags], { script: [content("x"), finish], host: { chooseDevice: heard } });
  }
  assert.deepEqual(asked, ["auto", "auto", ["deno"]]);
});

Deno.test("serve says whom it takes and why, and where nothing was left to it only where it computes", async () => {
  const load = () => Promise.reject(new Error("no model"));
  const notes = async (host: Partial<Host>) =>
    (await ringlet(["serve", "--port", "0"], { host: { load, ...host } })).err;
  assert.match(
    await notes({ chooseDevice }),
    /\nTaking wgpu-native: a reply is predicted to take less\nringlet: no model\n$/,
  );
  assert.doesNotMatch(await notes({}), /Taking/);
});

Deno.test("a device is called by its name and its provider", () => {
  assert.equal(deviceName({ device: "NVIDIA H100", gpu: "wgpu-native:1" }), "NVIDIA H100 by wgpu-native:1");
  assert.equal(deviceName({ device: "CPU" }), "CPU");
});
