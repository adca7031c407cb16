import assert from "node:assert/strict";
import type { Host } from "../../src/cli/host.ts";
import type { DeviceInfo, Figures, ProviderReport } from "../../src/mod.ts";
import { ringlet } from "./fake_host.ts";

const hardware: DeviceInfo = {
  provider: "deno",
  name: "NVIDIA H100",
  vendor: "NVIDIA",
  backend: "webgpu",
  hardware: true,
  features: ["shader-f16", "subgroups", "depth-clip-control"],
  limits: { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 27, maxComputeWorkgroupStorageSize: 49152 },
};
const software: DeviceInfo = { ...hardware, name: "llvmpipe", hardware: false };
const host = { listDevices: () => Promise.resolve([hardware, software]) };

Deno.test("devices prints adapters, features, limits and whether the model fits", async () => {
  const { code, out } = await ringlet(["devices"], { host });
  assert.equal(code, 0);
  assert.match(out, /deno: NVIDIA H100 \(NVIDIA, hardware\)\n +features +shader-f16, subgroups, and 1 that are/);
  assert.match(out, /buffer 2\.1 GB, binding 134\.2 MB, workgroup memory 49\.2 kB/);
  assert.match(out, /may fit: WebGPU does not tell/);
  assert.match(out, /llvmpipe \(NVIDIA, software\)[^]+the model fits/);
  assert.match(
    out,
    /ring-nano needs 26\.5 MB of weights and up to 500\.0 kB for a step,\n +and for one sequence 1\.0 MB of linear state, however long they are, and 16\.8 MB of keys and values in f32 at 8192 tokens/,
  );
});

Deno.test("devices --json has every limit, and tells what does not fit", async () => {
  const modelSize = () =>
    Promise.resolve({ weightBytes: 1e15, stateBytes: 0, cacheBytes: 0, activationBytes: 0, context: 1 });
  const { out } = await ringlet(["devices", "--json"], { host: { ...host, modelSize } });
  const { gpus, cpu, model } = JSON.parse(out);
  assert.deepEqual(gpus[0].limits, hardware.limits);
  assert.deepEqual(gpus.map(({ fits }: { fits: unknown }) => fits), [null, false]);
  assert.equal(cpu.fits, false);
  assert.equal(model.weightBytes, 1e15);
});

const share = (start: number, end: number, weightBytes: number) => ({
  ...{ layers: { start, end }, weightBytes, stateBytes: 1e7, cacheBytes: 1e9, activationBytes: 3e7 },
});

Deno.test("devices says how the CPU would hold the model, that of a config.json too, or why it could not", async () => {
  const asked: Parameters<Host["modelSplit"]>[0][] = [];
  const modelSplit: Host["modelSplit"] = (settings) => {
    asked.push(settings);
    return Promise.resolve({
      stages: [share(0, 7, 3.5e9), share(7, 14, 3.7e9)],
      neededBytes: 7.3e9,
      availableBytes: 9e9,
    });
  };
  const two = await ringlet(["devices", "--config", "c.json", "--quantize", "q4"], { host: { ...host, modelSplit } });
  assert.match(two.out, /9\.0 GB available\n +the model fits, in 2 stages: layers 0-6 \(3\.5 GB\), 7-13 \(3\.7 GB\)\n/);
  assert.deepEqual([asked[0]!.model, asked[0]!.randomWeights, asked[0]!.quantize], ["c.json", true, "q4"]);
  const full: Host["modelSplit"] = () => Promise.resolve({ stages: [], neededBytes: 7.3e9, availableBytes: 1e6 });
  const little = await ringlet(["devices"], { host: { ...host, modelSplit: full } });
  assert.match(little.out, /the model does not fit: it takes 7\.3 GB before any keys and values\n/);
  const refused = () => Promise.reject(new RangeError("Cannot hold layer 3 on a WASM memory"));
  const { out, code } = await ringlet(["devices"], { host: { ...host, modelSplit: refused } });
  assert.match(out, /the model does not fit: Cannot hold layer 3 on a WASM memory\n/);
  assert.equal(code, 0);
});

Deno.test("devices goes on where a provider fails", async () => {
  const failed = { ...hardware, error: "Cannot find an adapter" };
  const { code, out } = await ringlet(["devices"], { host: { listDevices: () => Promise.resolve([failed]) } });
  assert.equal(code, 0);
  assert.match(out, /deno: Cannot find an adapter\n/);
  assert.match(out, /wasm: CPU/);
});

const measured = <T>(chosen: T) => ({ chosen, measured: "2026-01-02T03:04:05.678Z", timings: [] });

Deno.test("devices shows what was chosen by measurement, and measures anew when asked to", async () => {
  const asked: [string | undefined, boolean][] = [];
  const deviceChoices: Host["deviceChoices"] = ({ model }, measure) => {
    asked.push([model, measure]);
    const kernels = measured({ subgroups: false, threads: 65536 });
    return Promise.resolve({
      device: "deno: a GPU (1 2)",
      hardware: true,
      kernels,
      rows: measure ? measured(1024) : null,
    });
  };
  const { out } = await ringlet(["devices"], { host: { ...host, deviceChoices } });
  assert.match(
    out,
    /chosen by measurement on deno: a GPU \(1 2\)\n {2}kernels {3}without subgroups, products by 65536 threads \(2026-01-02\)\n/,
  );
  assert.match(out, / {2}prefill {3}not measured yet: the first start on it does, or --measure\n/);
  const anew = await ringlet(["devices", "--model", "m", "--measure"], { host: { ...host, deviceChoices } });
  assert.match(anew.out, / {2}prefill {3}1024 rows a step of m \(2026-01-02\)\n/);
  const json = await ringlet(["devices", "--json"], { host: { ...host, deviceChoices } });
  assert.equal(JSON.parse(json.out).chosen.kernels.chosen.threads, 65536);
  assert.deepEqual(asked, [["models/ring-nano", false], ["m", true], ["models/ring-nano", false]]);
});

const FIGURES: Figures = {
  ...{ device: "NVIDIA H100", identity: "deno: NVIDIA H100 (4318 9008)", hardware: true },
  features: ["shader-f16", "subgroups"],
  ...{ roundTripMillis: 0.119, recordMicros: 3.4, dispatchMicros: 1.9, bandwidth: 2.8e12, flops: 2.2e13 },
  matrixFlops: null,
};

const PREDICTION = { promptMillis: 45.3, tokenMillis: 1.17, replyMillis: 279.3 };

const PROVIDERS: ProviderReport = {
  measured: "2026-01-02T03:04:05.678Z",
  rows: [
    { computer: "deno", figures: FIGURES, prediction: PREDICTION, error: null },
    {
      computer: "wgpu-native",
      figures: { ...FIGURES, recordMicros: 1.82, matrixFlops: 4e14 },
      prediction: { ...PREDICTION, promptMillis: 12.5 },
      error: null,
    },
    { computer: "dawn", figures: null, prediction: null, error: "Cannot find Dawn" },
  ],
  chosen: { computer: "wgpu-native", reason: "a reply is predicted to take less" },
};

Deno.test("devices prints what was measured of each provider in aligned columns, who is left out, and who is taken", async () => {
  const compareProviders = () => Promise.resolve(PROVIDERS);
  const { out } = await ringlet(["devices"], { host: { ...host, compareProviders } });
  const table = out.slice(out.indexOf("providers,"), out.indexOf("\n\nring-nano needs"));
  assert.equal(
    table,
    [
      "providers, as measured on NVIDIA H100 (2026-01-02), and what is predicted of ring-nano",
      "               round trip ms  record us  dispatch us  GB/s  GFLOP/s  in matrices  prompt ms  token ms  reply ms  features",
      "  deno                 0.119       3.40         1.90  2800    22000            -       45.3      1.17       279  f16 subgroups",
      "  wgpu-native          0.119       1.82         1.90  2800    22000       400000       12.5      1.17       279  f16 subgroups",
      "  dawn is left out: Cannot find Dawn",
      "  auto takes wgpu-native: a reply is predicted to take less",
    ].join("\n"),
  );
  const json = await ringlet(["devices", "--json"], { host: { ...host, compareProviders } });
  assert.deepEqual(JSON.parse(json.out).providers, PROVIDERS);
});

Deno.test("devices tells of a provider that computes on another GPU, and where nobody computes", async () => {
  const other = { ...FIGURES, device: "AMD W7900", identity: "wgpu-native: AMD W7900 (4098 1)" };
  const rows = [PROVIDERS.rows[0]!, { ...PROVIDERS.rows[1]!, figures: other }];
  const outOf = async (report: ProviderReport) =>
    (await ringlet(["devices"], { host: { ...host, compareProviders: () => Promise.resolve(report) } })).out;
  assert.match(await outOf({ ...PROVIDERS, rows }), /\n {2}wgpu-native is left out: it computes on AMD W7900\n/);
  assert.match(
    await outOf({ ...PROVIDERS, rows: [], chosen: null }),
    /\n {2}auto takes none: nobody can compute here\n/,
  );
});

Deno.test("devices measures anew when asked to, and says on stderr whom", async () => {
  const asked: boolean[] = [];
  const compareProviders: Host["compareProviders"] = (_, anew, onMeasure) => {
    asked.push(anew);
    if (anew) onMeasure("wgpu-native");
    return Promise.resolve(PROVIDERS);
  };
  assert.equal((await ringlet(["devices"], { host: { ...host, compareProviders } })).err, "");
  const { err } = await ringlet(["devices", "--measure"], { host: { ...host, compareProviders } });
  assert.equal(err, "Measuring wgpu-native, once on this computer\n");
  assert.deepEqual(asked, [false, true]);
});

Deno.test("devices --install says what it fetches from where, then where it lies, and does nothing else", async () => {
  const listDevices = () => Promise.reject(new Error("devices were listed"));
  const { code, out, err } = await ringlet(["devices", "--install", "wgpu-native"], { host: { listDevices } });
  assert.equal(code, 0);
  assert.equal(err, "Fetching wgpu-native 29, 3.5 MB, from https://example.org/wheel\n");
  assert.equal(out, "/cache/lib\n");
  const dawn = await ringlet(["devices", "--install", "dawn"], { host: { listDevices } });
  assert.equal(dawn.err, "Fetching dawn 29, 3.5 MB, from https://example.org/wheel\n");
  assert.equal((await ringlet(["devices", "--install", "deno"])).code, 2);
});
