/** What commands need of the world around them; tests give them another. */
import type { Chat } from "../chat/chat.ts";
import type { Tokenizer } from "../chat/tokenizer.ts";
import type {
  Ceilings,
  Computer,
  Converted,
  ConvertOptions,
  DeviceChoice,
  DeviceChoices,
  DeviceInfo,
  EngineClient,
  EngineSettings,
  GpuInstallation,
  InstallableGpu,
  JoinedStage,
  JoinSettings,
  LoadOptions,
  ModelSize,
  ModelSplit,
  ModelTransfer,
  ModelWork,
  NatsOptions,
  PoolOverview,
  ProviderReport,
  SizeOptions,
  StoredModel,
} from "../mod.ts";
import type { Terminal } from "./terminal.ts";

/** What commands use of a loaded model. */
export interface Model
  extends
    Pick<Chat, "model" | "info" | "failure" | "status" | "stream" | "complete" | "promptTokens" | "score">,
    AsyncDisposable {
  /** Null where the checkpoint has none. */
  readonly tokenizer: Pick<Tokenizer, "encode" | "decode"> | null;
}

/** What commands use of an engine by itself. */
export interface Engine extends Pick<EngineClient, "info" | "generate">, AsyncDisposable {}

export interface Host {
  readonly terminal: Terminal;
  /** Directory of the model that comes with Ringlet. */
  readonly embeddedModel: string;
  load(options: LoadOptions): Promise<Model>;
  joinPool(settings: JoinSettings): Promise<JoinedStage>;
  convert(options: ConvertOptions): Promise<Converted>;
  openEngine(settings: EngineSettings): Promise<Engine>;
  chooseDevice(settings: EngineSettings, onMeasure: (computer: Computer) => void): Promise<DeviceChoice>;
  compareProviders(
    settings: EngineSettings,
    anew: boolean,
    onMeasure: (computer: Computer) => void,
  ): Promise<ProviderReport>;
  measureDevice(options: LoadOptions): Promise<Ceilings>;
  modelWork(settings: EngineSettings): Promise<Pick<ModelWork, "step" | "parameters">>;
  threadsOf(settings: EngineSettings): Promise<number>;
  chunkRows(options: LoadOptions): Promise<number>;
  listDevices(): Promise<DeviceInfo[]>;
  plannedGpuInstallation(gpu: InstallableGpu): GpuInstallation;
  installGpu(
    gpu: InstallableGpu,
    onProgress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<string>;
  deviceChoices(settings: EngineSettings, measure: boolean): Promise<DeviceChoices | null>;
  modelSize(model: string, options: SizeOptions): Promise<ModelSize>;
  modelSplit(settings: EngineSettings): Promise<ModelSplit>;
  watchPool(
    options: { readonly nats: NatsOptions; readonly pool: string; readonly signal: AbortSignal },
  ): AsyncIterable<PoolOverview>;
  pushModel(options: ModelTransfer & { readonly model: string }): Promise<StoredModel>;
  storedModels(nats: NatsOptions): Promise<StoredModel[]>;
  fetchModel(options: ModelTransfer & { readonly layers: string | null }): Promise<string>;
}
