/** What may be said of a model that is to be opened. */
import { fileURLToPath } from "node:url";
import type {
  BackendName,
  DecayConvention,
  GpuProvider,
  KvCacheType,
  Quantize,
  StepReport,
} from "../pipeline/messages.ts";
import type { TokenBytes } from "../pipeline/requests.ts";
import type { NatsOptions } from "../pool/nats_options.ts";
import type { StageShare } from "../stage/split.ts";
import type { Activations } from "../wire/room.ts";
import type { WireOptions } from "../wire/wire.ts";

/** The stages of other computers, which find each other by a NATS broker. */
export interface PoolOptions {
  readonly nats: NatsOptions;
  /** The pool's; `default` by default. */
  readonly name?: string;
  /** So long requests wait while layers are missing, before they fail with an EngineUnavailableError; 30,000 by default. */
  readonly timeoutMillis?: number;
  /** In what hidden rows go from stage to stage; f32, the exact one, by default. */
  readonly activations?: Activations;
  /** Where stages reach this process; a free port of all its addresses by default, by way of the broker only if null. */
  readonly direct?: WireOptions["direct"];
}

/** What to open and how; everything has a default. */
export interface LoadOptions {
  /** Directory of a checkpoint; the embedded ring-nano if left out. */
  readonly model?: string;
  /** `auto` takes a hardware GPU if there is one, else WASM, unless software was measured to be faster. */
  readonly backend?: BackendName | "auto";
  /** Where WebGPU comes from, for all stages or for each; `auto`, the default, takes the best of those that are here. */
  readonly gpu?: GpuProvider | "auto" | readonly GpuProvider[];
  /** Workers that share the layers; by default as many as there are GPUs, on the CPU as many as there must be memories of 4 GiB. */
  readonly stages?: number;
  /** Their layers, `0-9,10-19`, instead of equal shares. */
  readonly layers?: string;
  /** Threads of each stage that computes on the CPU; by default one for each 1.5 MiB of weights that a row reads, but no more than 16 or than there are processors. */
  readonly threads?: number;
  /** Positions that a sequence may have; the model's own, up to 131,072, by default. Memory is taken as sequences grow. */
  readonly maxContext?: number;
  /** Sequences in flight; others wait. 1 by default. */
  readonly maxSequences?: number;
  /** Bytes of the device's memory for what prompts begin with, states, keys and values, so that they are not computed again; 0, none, by default. */
  readonly prefixCache?: number;
  /** Bytes of the computer's memory behind that; by default four times as many where the device is a GPU with its own, else none. */
  readonly hostCache?: number;
  /** Give each answer the bits that it has alone, whoever else is answered at the same time: at most 8 sequences then decode in one step. */
  readonly deterministic?: boolean;
  /** Requests that may wait for others; one beyond them fails with an EngineBusyError. No bound by default. */
  readonly maxWaiting?: number;
  /** How matrices are held on the device; as in the checkpoint by default. */
  readonly quantize?: Quantize;
  /** In what keys and values are kept; f32, the exact one, by default. */
  readonly kvCache?: KvCacheType;
  readonly decay?: DecayConvention;
  /** `yarn:4` stretches the context by 4. */
  readonly ropeScaling?: string;
  /**
   * Compute on the stages of a pool, which must have the same checkpoint, decay, RoPE scaling, quantization and type of keys and values. Who
   * computes here, and on what, then says nothing; sequences and context are bounded by what the stages have room for.
   */
  readonly pool?: PoolOptions;
  /** Hears what a pool waits for, in one sentence, and null when it is there; also later. */
  readonly onWaiting?: (what: string | null) => void;
  /** Where measurements of devices are remembered; `ringlet/devices.json` in the user's cache by default. */
  readonly deviceFile?: string;
  /** Hears how far the weights are. */
  readonly onProgress?: (loadedBytes: number, totalBytes: number) => void;
  /** Hears how the layers are shared out where several memories are needed on the CPU, before they are loaded. */
  readonly onSplit?: (stages: readonly StageShare[]) => void;
  /** Ends the loading. */
  readonly signal?: AbortSignal;
}

/** How to open an engine by itself. */
export interface EngineSettings extends LoadOptions {
  /** Weights by chance; `model` may then be a config.json by itself. */
  readonly randomWeights?: boolean;
  /** Where the memory of a stage on the CPU ends; at 4 GiB, as it must, by default. */
  readonly memoryBytes?: number;
  /** Rows of one prefill step; what suits the device by default. */
  readonly chunkRows?: number;
  /** Hears every step, and what it took. */
  readonly onStep?: (report: StepReport) => void;
  /** The bytes of the tokens, without which no request can have a grammar. */
  readonly tokens?: TokenBytes | null;
}

/** The model that comes with Ringlet. */
export const EMBEDDED_MODEL: string = fileURLToPath(new URL("../../models/ring-nano", import.meta.url));
