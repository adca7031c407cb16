/** The table of providers as it was measured on this computer, and what it says of a model. */
import project from "../../deno.json" with { type: "json" };
import type { Segment } from "../pipeline/steps.ts";
import { deviceIdentity, hasHardwareGpu } from "../stage/devices.ts";
import { stageConfig } from "../stage/open.ts";
import {
  type Computer,
  measureProviders,
  type ProviderRow,
  type ProviderTable,
  recallProviders,
} from "../stage/providers.ts";
import { cacheFile } from "../stage/tuning.ts";
import { modelWork } from "../stage/work.ts";
import { EMBEDDED_MODEL, type EngineSettings, type LoadOptions } from "./options.ts";
import {
  chooseProvider,
  isGpu,
  predict,
  type Prediction,
  type ProviderChoice,
  type ReplyWork,
  TYPICAL_REPLY,
} from "./provider_choice.ts";
import { mostThreads } from "./threads.ts";

const { version } = project;

/** Hears of whom a measurement begins; it takes about a second. */
export type OnMeasure = (computer: Computer) => void;

/** Where measurements are remembered; null if the environment does not tell. */
export function deviceFileOf({ deviceFile }: LoadOptions): string | null {
  return deviceFile ?? cacheFile();
}

/** The choice by what is remembered, if that is still there; null if there is none. */
export async function rememberedChoice(options: EngineSettings): Promise<ProviderChoice | null> {
  const table = await recallProviders(deviceFileOf(options), version);
  const choice = table && chooseProvider(table.rows, await replyWork(options), candidatesFor(options));
  return choice && await holds(table.rows, choice) ? choice : null;
}

/** The choice of a GPU by what is measured now, and remembered; null if none can be measured. */
export async function measuredChoice(options: EngineSettings, onMeasure: OnMeasure): Promise<ProviderChoice | null> {
  const work = await replyWork(options); // a model that is not there is known before anything is measured
  return chooseProvider((await measured(options, onMeasure)).rows, work, { wasm: false });
}

async function measured(options: LoadOptions, onMeasure: OnMeasure): Promise<ProviderTable> {
  const { signal } = options;
  const file = deviceFileOf(options);
  return await measureProviders({ file, version, threads: mostThreads(options), onMeasure, signal });
}

const candidatesFor = ({ backend }: LoadOptions) => ({ wasm: backend !== "webgpu" });

/** Whether the GPU of a choice is the one that was measured, or there is still none but the CPU. */
async function holds(rows: readonly ProviderRow[], { computer }: ProviderChoice): Promise<boolean> {
  if (!isGpu(computer)) return !await hasHardwareGpu();
  const identity = rows.find((row) => row.computer === computer)?.figures?.identity;
  return await deviceIdentity(computer).catch(() => null) === identity;
}

/** What a typical reply of the model needs. */
async function replyWork(options: EngineSettings): Promise<ReplyWork> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, randomWeights = false } = options;
  const { quantize = "none", kvCache = "f32" } = options;
  const work = await modelWork({ model, ropeScaling, randomWeights, quantize, kvCache });
  const of = (segment: Omit<Segment, "slot">) => {
    const { weightBytes, stateBytes, cacheBytes, flops } = work.step({
      segments: [{ slot: 0, ...segment }],
      outputs: 1,
    });
    return { bytes: weightBytes + stateBytes + cacheBytes, flops };
  };
  const { promptTokens, tokens } = TYPICAL_REPLY;
  return {
    layers: (await stageConfig({ model, ropeScaling })).layers,
    prompt: of({ start: 0, rows: promptTokens }),
    token: of({ start: promptTokens + tokens / 2, rows: 1 }),
  };
}

/** What is known of who could compute here. */
export interface ProviderReport {
  readonly measured: string;
  /** With what is predicted of a typical reply; null where there are no figures. */
  readonly rows: readonly (ProviderRow & { readonly prediction: Prediction | null })[];
  /** Null if nobody can. */
  readonly chosen: ProviderChoice | null;
}

/** What is remembered, or what it measures now: where nothing is, or if it shall `anew`. */
export async function compareProviders(
  options: EngineSettings,
  anew: boolean,
  onMeasure: OnMeasure = () => {},
): Promise<ProviderReport> {
  const known = anew || await rememberedChoice(options) === null
    ? null
    : await recallProviders(deviceFileOf(options), version);
  const { measured: at, rows } = known ?? await measured(options, onMeasure);
  const work = await replyWork(options);
  return {
    measured: at,
    rows: rows.map((row) => ({ ...row, prediction: row.figures && predict(row.figures, work) })),
    chosen: chooseProvider(rows, work, candidatesFor(options)),
  };
}
