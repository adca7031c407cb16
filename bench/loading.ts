/** What loading a checkpoint takes: seconds, and memory of the computer at its highest. Needs Linux, whose kernel keeps the peak. */
import { parseArgs } from "node:util";
import { bytes as shown } from "../src/cli/progress.ts";
import { openCheckpoint } from "../src/formats/safetensors.ts";
import { loadConfig } from "../src/model/load_config.ts";
import { Model } from "../src/model/model.ts";
import type { BackendName, Quantize, StageOptions } from "../src/pipeline/messages.ts";
import { openStage } from "../src/stage/open.ts";
import { writeBigCheckpoint } from "./big_checkpoint.ts";
import { NoBackend } from "./no_backend.ts";

const help =
  `deno run -A bench/loading.ts [--gib 4] [--backend none|webgpu|wasm] [--quantize none|q8|q4] [--model DIR] [--json]

Loads a checkpoint made for the purpose, or that of --model. The backend "none" forgets what is written to it, so that only
the way there is measured: what the process needs beside the device's own memory, which software GPUs take from the same.`;

const { values: flags } = parseArgs({
  options: {
    gib: { type: "string", default: "4" },
    backend: { type: "string", default: "none" },
    quantize: { type: "string", default: "none" },
    model: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

interface Loading {
  readonly backend: string;
  readonly device: string;
  readonly quantize: string;
  /** Of the checkpoint. */
  readonly bytes: number;
  readonly seconds: number;
  readonly bytesPerSecond: number;
  /** Resident memory before, at most, and the difference. The page cache is none of it: files are read, not mapped. */
  readonly startBytes: number;
  readonly peakBytes: number;
  readonly aboveStartBytes: number;
}

async function load(folder: string): Promise<Loading> {
  const config = await loadConfig(folder);
  using checkpoint = await openCheckpoint(folder);
  const options: StageOptions = {
    ...{ model: folder, layers: { start: 0, end: config.layers }, gpu: "deno", decay: "serving" },
    backend: flags.backend as BackendName,
    ...{
      ropeScaling: null,
      quantize: flags.quantize as Quantize,
      kvCache: "f32",
      slots: 1,
      context: 4096,
      maxRows: 2048,
    },
  };
  await Deno.writeTextFile("/proc/self/clear_refs", "5"); // the peak begins anew
  const startBytes = await resident("VmRSS");
  const begun = performance.now();
  const [model, device] = flags.backend === "none"
    ? [await Model.load(new NoBackend(), config, checkpoint, options), "no device"]
    : await openStage(options, () => {}).then(({ model, info }) => [model, info.device] as const);
  const seconds = (performance.now() - begun) / 1000;
  const peakBytes = await resident("VmHWM");
  model[Symbol.dispose]();
  const { bytes } = checkpoint;
  return {
    ...{ backend: flags.backend, device, quantize: flags.quantize },
    ...{ bytes, seconds, bytesPerSecond: bytes / seconds },
    ...{ startBytes, peakBytes, aboveStartBytes: peakBytes - startBytes },
  };
}

async function resident(name: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status");
  return 1024 * Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(status)![1]);
}

function toText({ bytes, seconds, bytesPerSecond, device, startBytes, peakBytes, aboveStartBytes }: Loading): string {
  return `${shown(bytes)} in ${seconds.toFixed(1)} s, ${shown(bytesPerSecond)}/s, on ${device}\n` +
    `resident: ${shown(startBytes)} at the start, ${shown(peakBytes)} at most, ${shown(aboveStartBytes)} above`;
}

/** Makes a checkpoint and loads it in a process that begins without what making it took. */
async function loadMade(): Promise<void> {
  await using made = await writeBigCheckpoint(Number(flags.gib) * 2 ** 30);
  const args = ["run", "-A", "--quiet", "--no-check", import.meta.filename!, ...Deno.args, "--model", made.path];
  const { success } = await new Deno.Command(Deno.execPath(), { args, stdout: "inherit", stderr: "inherit" }).output();
  if (!success) throw new Error("Cannot load the checkpoint that was made");
}

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

if (flags.help) print(help);
else if (flags.model === undefined) await loadMade();
else {
  const loading = await load(flags.model);
  print(flags.json ? JSON.stringify(loading) : toText(loading));
}
