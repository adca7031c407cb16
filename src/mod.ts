/** The library's entry: opens a model and talks with it. */
import { Chat } from "./chat/chat.ts";
import { ChatTemplate } from "./chat/template.ts";
import { tokenBytes } from "./chat/token_bytes.ts";
import { Tokenizer } from "./chat/tokenizer.ts";
import { EngineClient } from "./engine/client.ts";
import { engineOptions, sharedOptions } from "./load/engine_options.ts";
import { type ModelSplit, wasmSplit } from "./load/split.ts";
import { EMBEDDED_MODEL, type EngineSettings, type LoadOptions } from "./load/options.ts";
import { poolEngineOptions, sessionOptions } from "./load/pool_options.ts";
import { stageConfig } from "./stage/open.ts";
import { type ModelWork, modelWork as workOf } from "./stage/work.ts";

export { Chat } from "./chat/chat.ts";
export { fold } from "./chat/fold.ts";
export type * from "./chat/messages.ts";
export { RequestError } from "./chat/request_error.ts";
export { EngineClient } from "./engine/client.ts";
export { EngineBusyError, EngineError, EngineUnavailableError, TooLongError } from "./engine/engine_error.ts";
export { chunkRows, type DeviceChoices, deviceChoices, measureDevice } from "./load/devices.ts";
export { compareProviders, type ProviderReport } from "./load/measured_providers.ts";
export { isSameGpu } from "./load/provider_choice.ts";
export { type JoinedStage, joinPool, type JoinSettings } from "./load/join_pool.ts";
export { EMBEDDED_MODEL, type EngineSettings, type LoadOptions, type PoolOptions } from "./load/options.ts";
export {
  fetchModel,
  type ModelTransfer,
  type PoolOverview,
  pushModel,
  type StoredModel,
  storedModels,
  watchPool,
} from "./load/pool.ts";
export { threadsOf } from "./load/threads.ts";
export { chooseDevice, type DeviceChoice } from "./load/settle.ts";
export type { ModelSplit } from "./load/split.ts";
export type {
  DecayConvention,
  EngineInfo,
  EngineStatus,
  GpuProvider,
  KernelChoice,
  KvCacheType,
  Quantize,
  StageInfo,
  StepReport,
} from "./pipeline/messages.ts";
export type { NatsOptions } from "./pool/nats_options.ts";
export type { PoolStageEvent } from "./pool/pool_stage.ts";
export type { StageOffer } from "./pool/protocol.ts";
export type { SamplingParams } from "./pipeline/requests.ts";
export type { Ceilings } from "./stage/ceilings.ts";
export { convert, type Converted, type ConvertOptions } from "./stage/convert.ts";
export {
  type DeviceInfo,
  type GpuInstallation,
  type InstallableGpu,
  installGpu,
  listDevices,
  plannedGpuInstallation,
} from "./stage/devices.ts";
export { type ModelSize, modelSize, type SizeOptions } from "./stage/model_size.ts";
export type { Computer, Figures, ProviderRow } from "./stage/providers.ts";
export type { StageShare } from "./stage/split.ts";
export type { Measurement } from "./stage/tuning.ts";
export type { ModelWork, StepShape, StepWork } from "./stage/work.ts";

/**
 * Opens a model: its tokenizer and template here, its layers in workers.
 * @throws with one sentence for a model or options that cannot be used
 */
export async function load(options: LoadOptions = {}): Promise<Chat> {
  const { model = EMBEDDED_MODEL, ropeScaling = null } = options;
  const config = await stageConfig({ model, ropeScaling });
  const [tokenizer, template] = [await tokenizerOf(model), await ChatTemplate.fromDirectory(model)];
  const name = model.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1)!;
  return new Chat({
    model: name,
    tokenizer,
    template,
    engine: await openEngine({ ...options, tokens: tokenizer && tokenBytes(tokenizer) }),
    stopTokens: config.eosTokenIds,
  });
}

/**
 * Opens a model for token ids alone.
 * @throws as {@linkcode load} does
 */
export async function openEngine(settings: EngineSettings): Promise<EngineClient> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, pool, onProgress, onStep, onWaiting, signal } = settings;
  const hooks = {
    ...(onProgress && { onProgress }),
    ...(onStep && { onStep }),
    ...(onWaiting && { onWaiting }),
    ...(signal && { signal }),
  };
  if (pool) return await EngineClient.join(await sessionOptions(pool, settings), poolEngineOptions(settings), hooks);
  return await EngineClient.open(await engineOptions(settings, await stageConfig({ model, ropeScaling })), hooks);
}

/** What the steps of a model must move and compute. */
export async function modelWork(settings: EngineSettings): Promise<ModelWork> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, randomWeights = false } = settings;
  const { quantize = "none", kvCache = "f32" } = settings;
  return await workOf({ model, ropeScaling, randomWeights, quantize, kvCache });
}

/**
 * How a model would be held on the CPU.
 * @throws {RangeError} if a layer by itself is too large
 */
export async function modelSplit(settings: EngineSettings): Promise<ModelSplit> {
  const { model = EMBEDDED_MODEL, ropeScaling = null } = settings;
  const config = await stageConfig({ model, ropeScaling });
  return await wasmSplit(settings, config, await sharedOptions({ ...settings, backend: "wasm" }, config));
}

/** Null where the folder has none: its token ids can still be scored. */
async function tokenizerOf(model: string): Promise<Tokenizer | null> {
  try {
    return await Tokenizer.fromFile(`${model}/tokenizer.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
