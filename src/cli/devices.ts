/** `ringlet devices`: what could run a model, and whether one fits. */
import { basename } from "node:path";
import type {
  DeviceChoices,
  DeviceInfo,
  EngineSettings,
  KernelChoice,
  KvCacheType,
  Measurement,
  ModelSize,
  ModelSplit,
  ProviderReport,
} from "../mod.ts";
import { Option } from "@commander-js/extra-typings";
import { given, maxSequences, modelCommand, toLoadOptions } from "./args.ts";
import { measuring } from "./device.ts";
import type { Host } from "./host.ts";
import { installLibrary } from "./install.ts";
import { bytes } from "./progress.ts";
import { describeSplit } from "./split.ts";
import { providerTable } from "./provider_table.ts";

const help = `
The table of providers is measured where it is not remembered, by each in a process of its own: a round trip (a dispatch
and 4 bytes read back), a dispatch's cost for the host (record) and the device, bytes a second of weights that are
multiplied with one row, and operations a second of products of many rows, experts' among them. From these follow a
prompt of 1,024 tokens, a token, and a reply of 200 of them. A GPU that is more than the CPU goes first; then the shortest
reply wins, if it takes 3 % less than the built-in provider's, or where there is only software, than WASM's.

Examples:
  ringlet devices --model /models/Ring-mini-linear-2.0 --max-context 32768 --max-sequences 4
  ringlet devices --config bench/ring-mini-linear-2.0.json --quantize q4
  ringlet devices --install wgpu-native        then --gpu wgpu-native, or --gpu wgpu-native:1 for the second adapter`;

/** Names of limits that decide what can run, with what they limit. */
const limitNames: Readonly<Record<string, string>> = {
  maxBufferSize: "buffer",
  maxStorageBufferBindingSize: "binding",
  maxComputeWorkgroupStorageSize: "workgroup memory",
};

/** Features that computing can use; the others draw. */
const computeFeatures = /f16|subgroup|matrix|timestamp/;

export function devicesCommand(host: Host) {
  return modelCommand("devices")
    .description("adapters, their features and limits, whether the model fits, and who computes it best")
    .addOption(maxSequences)
    .addOption(new Option("--config <file>", "a config.json instead of a checkpoint").conflicts("model"))
    .option("--measure", "measure anew all providers, and what was chosen for the best GPU and this model")
    .addOption(
      new Option("--install <provider>", "fetch the library of another WebGPU, and do nothing else")
        .choices(["wgpu-native", "dawn"] as const),
    )
    .option("--json", "print one JSON object instead, with every limit and timing")
    .addHelpText("after", help)
    .action(async (flags) => {
      if (flags.install) return await installLibrary(flags.install, host);
      const settings = { ...toLoadOptions(flags), model: flags.config ?? flags.model ?? host.embeddedModel };
      const { model: path } = settings;
      const { maxContext, maxSequences, quantize, kvCache, ropeScaling } = flags;
      const randomWeights = flags.config !== undefined;
      const size = await host.modelSize(
        path,
        given({ maxContext, maxSequences, quantize, kvCache, ropeScaling, randomWeights }),
      );
      const threads = await host.threadsOf({ ...settings, randomWeights });
      const split = await splitOf(host, { ...settings, randomWeights });
      const needs = size.weightBytes + size.stateBytes + size.cacheBytes + size.activationBytes;
      // Software adapters compute in the computer's own memory; WebGPU does not tell how much a hardware one has.
      const fitsMemory = needs <= split.availableBytes;
      const cpu = { threads, ...split, fits: fitsMemory && split.error === undefined };
      const gpus = (await host.listDevices()).map((gpu) => ({
        ...gpu,
        fits: gpu.error ? false : gpu.hardware ? null : fitsMemory,
      }));
      const measure = flags.measure ?? false;
      const note = (computer: string) => host.terminal.note(measuring(computer));
      const providers = await host.compareProviders({ ...settings, randomWeights }, measure, note);
      const chosen = await host.deviceChoices({ ...settings, randomWeights }, measure);
      const model = { name: basename(path), kvCache, ...size };
      const report = { gpus, cpu, model, providers, chosen };
      host.terminal.write(
        flags.json ? `${JSON.stringify(report, null, 2)}\n` : toText(report, flags.maxSequences ?? 1),
      );
    });
}

/** How the model would be held on the CPU, or why it could not be. */
async function splitOf(host: Host, settings: EngineSettings): Promise<ModelSplit & { readonly error?: string }> {
  try {
    return await host.modelSplit(settings);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const { available } = Deno.systemMemoryInfo();
    return { stages: [], neededBytes: Infinity, availableBytes: available, error: error.message };
  }
}

interface Report {
  readonly gpus: readonly (DeviceInfo & { readonly fits: boolean | null })[];
  readonly cpu: ModelSplit & {
    readonly threads: number;
    readonly fits: boolean;
    /** Why it can be held in no number of stages. */
    readonly error?: string;
  };
  readonly model: ModelSize & { readonly name: string; readonly kvCache: KvCacheType };
  readonly providers: ProviderReport;
  readonly chosen: DeviceChoices | null;
}

function toText({ gpus, cpu, model, providers, chosen }: Report, sequences: number): string {
  const { name, context, kvCache } = model;
  return [
    ...gpus.flatMap((gpu) => [...describe(gpu), ""]),
    `wasm: CPU, ${cpu.threads} threads`,
    `  memory    ${bytes(cpu.availableBytes)} available`,
    `  the model ${onCpu(cpu)}`,
    "",
    ...providerTable(providers, name),
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

function onCpu({ fits, stages, neededBytes, error }: Report["cpu"]): string {
  if (fits) return `fits, in ${describeSplit(stages)}`;
  return `does not fit: ${error ?? `it takes ${bytes(neededBytes)} before any keys and values`}`;
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
