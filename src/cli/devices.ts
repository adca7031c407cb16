/** `ringlet devices`: what could run a model, and whether one fits. */
import { basename } from "node:path";
import type { DeviceChoices, DeviceInfo, KernelChoice, KvCacheType, Measurement, ModelSize } from "../mod.ts";
import { Option } from "@commander-js/extra-typings";
import { given, maxSequences, modelCommand, toLoadOptions } from "./args.ts";
import type { Host } from "./host.ts";
import { installWgpuNative } from "./install.ts";
import { bytes } from "./progress.ts";

const help = `
Examples:
  ringlet devices --model /models/Ring-mini-linear-2.0 --max-context 32768 --max-sequences 4
  ringlet devices --install wgpu-native        then --gpu wgpu-native, or --gpu wgpu-native:1 for the second adapter`;

/** Names of limits that decide what can run, with what they limit. */
const limitNames: Readonly<Record<string, string>> = {
  maxBufferSize: "buffer",
  maxStorageBufferBindingSize: "binding",
  maxComputeWorkgroupStorageSize: "workgroup memory",
};

/** Features that computing can use; the others draw. */
const computeFeatures = /f16|subgroup|matrix|timestamp/;

/** All that one WASM memory can address. */
const WASM_STAGE_BYTES = 2 ** 32;

export function devicesCommand(host: Host) {
  return modelCommand("devices")
    .description("adapters, their features and limits, and whether the model fits")
    .addOption(maxSequences)
    .option("--measure", "measure anew what was chosen for the best GPU and this model")
    .addOption(
      new Option("--install <provider>", "fetch the library of wgpu-native, and do nothing else")
        .choices(["wgpu-native"] as const),
    )
    .option("--json", "print one JSON object instead, with every limit and timing")
    .addHelpText("after", help)
    .action(async (flags) => {
      if (flags.install) return await installWgpuNative(host);
      const directory = flags.model ?? host.embeddedModel;
      const { maxContext, maxSequences, quantize, kvCache, ropeScaling } = flags;
      const size = await host.modelSize(
        directory,
        given({ maxContext, maxSequences, quantize, kvCache, ropeScaling }),
      );
      const threads = flags.threads === undefined ? navigator.hardwareConcurrency : flags.threads * (flags.stages ?? 1);
      const cpu = { threads, availableBytes: Deno.systemMemoryInfo().available };
      const needs = size.weightBytes + size.stateBytes + size.cacheBytes + size.activationBytes;
      // Software adapters compute in the computer's own memory; WebGPU does not tell how much a hardware one has.
      const fitsMemory = needs <= cpu.availableBytes;
      const fitsWasm = fitsMemory && needs <= (flags.stages ?? 1) * WASM_STAGE_BYTES;
      const gpus = (await host.listDevices()).map((gpu) => ({
        ...gpu,
        fits: gpu.error ? false : gpu.hardware ? null : fitsMemory,
      }));
      const chosen = await host.deviceChoices({ ...toLoadOptions(flags), model: directory }, flags.measure ?? false);
      const model = { name: basename(directory), kvCache, ...size };
      const report = { gpus, cpu: { ...cpu, fits: fitsWasm }, model, chosen };
      host.terminal.write(
        flags.json ? `${JSON.stringify(report, null, 2)}\n` : toText(report, flags.maxSequences ?? 1),
      );
    });
}

interface Report {
  readonly gpus: readonly (DeviceInfo & { readonly fits: boolean | null })[];
  readonly cpu: { readonly threads: number; readonly availableBytes: number; readonly fits: boolean };
  readonly model: ModelSize & { readonly name: string; readonly kvCache: KvCacheType };
  readonly chosen: DeviceChoices | null;
}

function toText({ gpus, cpu, model, chosen }: Report, sequences: number): string {
  const { name, context, kvCache } = model;
  return [
    ...gpus.flatMap((gpu) => [...describe(gpu), ""]),
    `wasm: CPU, ${cpu.threads} threads`,
    `  memory    ${bytes(cpu.availableBytes)} available, ${bytes(WASM_STAGE_BYTES)} at most for a stage`,
    `  the model ${verdict(cpu.fits)}`,
    "",
    ...(chosen ? [...choices(chosen, name), ""] : []),
    `${name} needs ${bytes(model.weightBytes)} of weights and up to ${bytes(model.activationBytes)} for a step,`,
    `  and for ${sequences === 1 ? "one sequence" : `${sequences} sequences`}` +
    ` ${bytes(model.stateBytes)} of linear state, however long they are,` +
    ` and ${bytes(model.cacheBytes)} of keys and values in ${kvCache} at ${context} tokens`,
    "",
  ].join("\n");
}

function describe(gpu: DeviceInfo & { readonly fits: boolean | null }): string[] {
  if (gpu.error) return [`${gpu.provider}: ${gpu.error}`];
  const useful = gpu.features.filter((name) => computeFeatures.test(name));
  const limits = Object.entries(limitNames).flatMap(([name, what]) => {
    const limit = gpu.limits[name];
    return limit === undefined ? [] : [`${what} ${bytes(limit)}`];
  });
  return [
    `${gpu.provider}: ${gpu.name} (${gpu.vendor}, ${gpu.hardware ? "hardware" : "software"})`,
    `  features  ${useful.join(", ") || "none"}, and ${gpu.features.length - useful.length} that are of no use here`,
    `  limits    ${limits.join(", ")}`,
    `  the model ${verdict(gpu.fits)}`,
  ];
}

function verdict(fits: boolean | null): string {
  if (fits === null) return "may fit: WebGPU does not tell how much memory a device has";
  return fits ? "fits" : "does not fit";
}

function choices({ device, hardware, kernels, rows }: DeviceChoices, model: string): string[] {
  const unknown = "not measured yet: the first start on it does, or --measure";
  const threads = (choice: KernelChoice) =>
    `${choice.subgroups ? "with" : "without"} subgroups, products by ${choice.threads} threads`;
  return [
    `chosen by measurement on ${device}`,
    `  kernels   ${kernels ? dated(kernels, threads) : unknown}`,
    ...(hardware ? [`  prefill   ${rows ? dated(rows, (rows) => `${rows} rows a step of ${model}`) : unknown}`] : []),
  ];
}

function dated<Choice>({ chosen, measured }: Measurement<Choice>, text: (choice: Choice) => string): string {
  return `${text(chosen)} (${measured.slice(0, 10)})`;
}
