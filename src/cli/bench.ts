/** `ringlet bench`: how fast a model runs, and how fast it could. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { basename } from "node:path";
import { given, integer, matching, modelCommand, type ModelFlags, toLoadOptions } from "./args.ts";
import { digits, figureOf, operations, type Result, toTable } from "./bench_figures.ts";
import { type Combination, measure, StepLog, tokensNeeded } from "./bench_run.ts";
import { deviceName, settleDevice } from "./device.ts";
import type { Engine, Host } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { peakMemory } from "./peak_memory.ts";
import { bytes, withProgress } from "./progress.ts";
import { tellSplit } from "./split.ts";

const help = `
Prints for every prompt length and batch what a prompt (prefill) and a step of all sequences (decode) take: the median of
several runs after one that is not counted. "GPU ms" is the time that the device worked by its own clock, "wall/GPU" the
whole time over it. "floor ms" is the time that the bytes to move and the operations to compute need at the device's
ceilings, which are measured first; weights are counted once a step, and experts as many as a batch chooses on average.
Stages on several devices work at the same time on the chunks of a prompt, and on parts of a batch: "GPU ms" is then the
sum of all, so that "wall/GPU" may be less than 1, and the floor that of devices which share the work evenly.

Examples:
  ringlet bench
  ringlet bench --prompt-tokens 512,4096 --gen-tokens 128 --batch 1,32 --json
  ringlet bench --config bench/ring-mini-linear-2.0.json --random-weights`;

/** Decode steps and runs that warm up, and are not counted. */
const WARM_STEPS = 4;

export function benchCommand(host: Host) {
  return modelCommand("bench")
    .description("prefill and decode speed, beside what the device could do at best")
    .addOption(counts("--prompt-tokens <counts>", "tokens of each prompt", "512"))
    .addOption(counts("--batch <counts>", "sequences that decode together", "1"))
    .option("--gen-tokens <n>", "decode steps to measure", integer(1), 128)
    .option("--runs <n>", "prompts to measure at least, of each kind", integer(1), 3)
    .option("--chunk <rows>", "tokens of a prefill step (default: what suits the device)", integer(1))
    .addOption(new Option("--config <file>", "a config.json instead of a checkpoint").conflicts("model"))
    .option("--random-weights", "weights by chance, made on the device")
    .option("--json", "print one JSON object, with every figure")
    .addHelpText("after", help)
    .action(async (flags) => {
      if (flags.config !== undefined && !flags.randomWeights) {
        throw new InvalidArgumentError("--config has no weights: add --random-weights");
      }
      const model = flags.config ?? flags.model ?? host.embeddedModel;
      const { randomWeights } = flags;
      const asked = { ...toLoadOptions(flags), ...given({ randomWeights }), model };
      const { backend, gpu } = await settleDevice(host, asked);
      const chunk = flags.chunk ??
        await host.chunkRows({ ...asked, backend, gpu, maxSequences: Math.max(...flags.batch) });
      await interruptible((signal) => bench(host, { ...flags, backend, gpu, chunk }, signal));
    });
}

function counts<const Name extends string>(name: Name, description: string, standard: string) {
  return new Option(name, description).default(parse(standard), standard).argParser(parse);
  function parse(text: string): number[] {
    return matching(/^[1-9]\d*(,[1-9]\d*)*$/, "counts like 512,4096")(text).split(",").map(Number);
  }
}

type Flags = ModelFlags & {
  readonly promptTokens: readonly number[];
  readonly batch: readonly number[];
  readonly genTokens: number;
  readonly runs: number;
  readonly chunk?: number | undefined;
  readonly config?: string | undefined;
  readonly randomWeights?: true | undefined;
  readonly json?: true | undefined;
};

type ChunkedFlags = Flags & { readonly chunk: number };

async function bench(host: Host, flags: ChunkedFlags, signal: AbortSignal): Promise<void> {
  const { genTokens } = flags;
  const combinations = flags.promptTokens.flatMap((promptTokens) =>
    flags.batch.map((batch) => ({ promptTokens, batch, genTokens }))
  );
  const options = { ...settings(host, flags, combinations), signal };
  const ceilings = await host.measureDevice(options);
  const work = await host.modelWork(options);
  const log = new StepLog();
  const onSplit = tellSplit(host.terminal);
  const begun = performance.now();
  await using engine = await withProgress(
    host.terminal,
    "Loading",
    (onProgress) => host.openEngine({ ...options, onProgress, onSplit, onStep: log.hear }),
  );
  const openMillis = performance.now() - begun;
  const { devices } = engine.info;
  const results: Result[] = [];
  for (const combination of combinations) {
    const samples = await runs(engine, log, combination, flags, signal);
    results.push({
      ...combination,
      prefill: figureOf(samples.flatMap(({ prefills }) => prefills), work, ceilings, devices),
      decode: figureOf(samples.flatMap(({ decodes }) => decodes), work, ceilings, devices),
    });
  }
  const model = { name: basename(options.model), parameters: work.parameters, openMillis, ...engine.info };
  const report = { ceilings, model, chunkRows: flags.chunk, peakMemoryBytes: peakMemory(), results };
  host.terminal.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : toText(report));
}

function settings(host: Host, flags: ChunkedFlags, combinations: readonly Combination[]) {
  const { config, randomWeights, chunk } = flags;
  const context = combinations.map((each) => each.promptTokens + tokensNeeded(each, chunk));
  return {
    ...toLoadOptions(flags),
    ...given({ randomWeights }),
    model: config ?? flags.model ?? host.embeddedModel,
    maxContext: flags.maxContext ?? Math.max(...context),
    maxSequences: Math.max(...flags.batch),
    chunkRows: chunk,
  };
}

/** A short run that compiles what is needed, then as many as give enough prompts. */
async function runs(
  engine: Engine,
  log: StepLog,
  combination: Combination,
  { chunk, runs }: ChunkedFlags,
  signal: AbortSignal,
) {
  const { promptTokens, batch } = combination;
  const short = promptTokens > 2 * chunk ? chunk + promptTokens % chunk : promptTokens;
  await measure(engine, log, { promptTokens: short, batch, genTokens: WARM_STEPS }, chunk, signal);
  const samples = [];
  for (let run = 0; run < runs; run += batch) samples.push(await measure(engine, log, combination, chunk, signal));
  return samples;
}

interface Report {
  readonly ceilings: Awaited<ReturnType<Host["measureDevice"]>>;
  readonly model: Engine["info"] & { readonly name: string; readonly parameters: number; readonly openMillis: number };
  /** The process's most memory so far, workers included; null where the system does not tell. */
  readonly peakMemoryBytes: number | null;
  readonly results: readonly Result[];
}

function toText({ ceilings, model, peakMemoryBytes, results }: Report): string {
  const { device, bandwidth, flops, dispatchMillis } = ceilings;
  const several = model.devices === 1 ? "" : ` on ${model.devices} devices`;
  const stages = model.stages.length === 1 ? "" : ` in ${model.stages.length} stages${several}`;
  const sum = (count: (stage: Report["model"]["stages"][number]) => number) =>
    bytes(model.stages.reduce((total, stage) => total + count(stage), 0));
  const name = deviceName({ device, ...given({ gpu: model.stages[0]?.gpu }) });
  return [
    `${name}${stages}: reads ${operations(bandwidth)}B/s, computes ${operations(flops)}FLOP/s in f32` +
    (dispatchMillis === null ? "" : `, needs ${digits(1e3 * dispatchMillis)} us for an empty dispatch`),
    `${model.name}: ${operations(model.parameters)} parameters, ${sum(({ weightBytes }) => weightBytes)} of weights, ` +
    `${sum(({ stateBytes }) => stateBytes)} of linear state and up to ${sum(({ cacheBytes }) => cacheBytes)} of keys ` +
    `and values for ${model.slots} x ${model.context} tokens, ` +
    `open in ${digits(model.openMillis / 1e3)} s` +
    (peakMemoryBytes === null ? "" : `, ${bytes(peakMemoryBytes)} of the host's memory at most`),
    "",
    toTable(results),
  ].join("\n");
}
