/** What wgpu-native has and does by itself: GPUs of one's choice, and what becomes of a lost or missing device. */
import { strict as assert } from "node:assert";
import { DeviceLostError, OutOfMemoryError } from "../src/backend/backend.ts";
import { openProvider } from "../src/backend/webgpu/provider.ts";
import { ENUMS } from "../src/backend/webgpu/wgpu_native/webgpu_h.ts";
import type { WgpuDevice } from "../src/backend/webgpu/wgpu_native/mod.ts";
import { openEngine } from "../src/mod.ts";
import { openEcho, ROWS } from "./backend/echo_step.ts";
import { testOnNative } from "./backend/wgpu_native/library.ts";
import { generateOn } from "./command_line.ts";
import { DEVICE_FILE } from "./device_file.ts";
import { checkGolden } from "./golden.ts";

testOnNative("a stage on each of two GPUs gives the golden continuations", async () => {
  const gpu = ["wgpu-native:0", "deno"] as const;
  await using engine = await openEngine({ gpu, backend: "webgpu", deviceFile: DEVICE_FILE });
  assert.deepEqual(engine.info.stages.map((stage) => stage.gpu), gpu);
  await checkGolden(engine, 2);
  const lacking = openEngine({ gpu: ["deno", "wgpu-native:99"], backend: "webgpu", deviceFile: DEVICE_FILE });
  await assert.rejects(lacking, /Cannot open wgpu-native:99/);
});

Deno.test("there is one GPU for all stages, or one for each", async () => {
  await assert.rejects(openEngine({ gpu: ["deno", "deno", "deno"], stages: 2, backend: "wasm" }), {
    name: "RangeError",
    message: "Cannot put 2 stages on 3 GPUs: name one GPU for all stages, or one for each",
  });
});

/** A backend on a device of its own, and a step whose rows come back. */
async function opened() {
  const device = await (await openProvider("wgpu-native").adapter())!.requestDevice();
  return { device: device as unknown as WgpuDevice, ...await openEcho("wgpu-native", device) };
}

testOnNative(
  "a device that is lost in the middle of a step fails it in one sentence, and the next device serves",
  async () => {
    const lost = await opened();
    assert.deepEqual(await lost.run(), ROWS);
    const submit = lost.device.queue.submit.bind(lost.device.queue);
    lost.device.queue.submit = (commands) => {
      submit(commands);
      lost.device.destroy();
    };
    await assert.rejects(lost.run(), (error) => {
      assert.ok(error instanceof DeviceLostError);
      assert.match(error.message, /^The GPU .* was lost \(.+\): its work is gone, start the stage again$/);
      return true;
    });
    await assert.rejects(lost.run(), DeviceLostError);
    const next = await opened();
    assert.deepEqual(await next.run(), ROWS);
    next.device.destroy();
  },
);

testOnNative("a device without room fails the allocation, and goes on", async () => {
  const { device, backend, run } = await opened();
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    if (descriptor.label === "values") device.heardError(ENUMS.ErrorType.OutOfMemory, "Not enough memory left.");
    return create(descriptor);
  };
  const wanted = ["keys", "values"].map((label) => ({ label, dtype: "f16" as const, shape: [4, 8] }));
  await assert.rejects(backend.allocate(wanted), OutOfMemoryError);
  assert.deepEqual(await run(), ROWS);
  device.destroy();
});

Deno.test("without the library the command line says in one line how to get it", async () => {
  const [code, complaint] = await generateOn("wgpu-native", { RINGLET_WGPU_NATIVE: "/nowhere/lib.so" });
  assert.equal(code, 1);
  assert.equal(
    complaint,
    "ringlet: Cannot find wgpu-native: RINGLET_WGPU_NATIVE names /nowhere/lib.so, and there is no such file\n",
  );
});

testOnNative("without an adapter it says what to install", async () => {
  const [code, complaint] = await generateOn("wgpu-native", {
    VK_DRIVER_FILES: "/dev/null",
    VK_ICD_FILENAMES: "/dev/null",
  });
  assert.equal(code, 1);
  assert.equal(
    complaint,
    "ringlet: Cannot open a GPU: there is none; install its Vulkan driver, or use --backend wasm\n",
  );
}, Deno.build.os === "linux" ? null : "only Vulkan's loader can be told to find nothing");
