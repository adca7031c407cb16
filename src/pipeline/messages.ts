/** What the process says to the workers that it starts, to open stages and an engine, and what it hears of them. */
import type { MessagePort } from "node:worker_threads";
import type { PoolStatus } from "./pool_status.ts";
import type { LayerRange, Segment } from "./steps.ts";
import type {
  EngineFinish,
  GeneratedToken,
  GenerateRequest,
  GenerateStats,
  ScoreRequest,
  ScoreRows,
  TokenBytes,
} from "./requests.ts";

// ---------------------------------------------------------------- opening a stage

/** Which layer number the linear layers' decay counts with; published implementations disagree (spec c.5). */
export type DecayConvention = "serving" | "hf" | "mlx";
/**
 * How matrices are held: `none` as they are stored, `q8` in 8 bits, `q4` routed experts in 4 bits and the others in 8. Norms, biases
 * and routers stay as they are.
 */
export type Quantize = "none" | "q8" | "q4";
/** In what keys and values are kept: f32 exactly as they are computed, f16 in half the memory. */
export type KvCacheType = "f32" | "f16";
export type BackendName = "webgpu" | "wasm";
/** Where WebGPU comes from; of wgpu-native also which adapter, by its number or a part of its name. */
export type GpuProvider = "deno" | "wgpu-native" | `wgpu-native:${string}` | "dawn";

/** Variants of the kernels of a GPU; which are the fastest depends on the device. All give the same but for rounding. */
export interface KernelChoice {
  /** Add up over neighbouring threads by the subgroups' own functions, where the device has them. */
  readonly subgroups: boolean;
  /** Threads that share out a product of few rows, where it has work for so many. */
  readonly threads: number;
}

/** What every stage of a pipeline must know; equal on all of them but for `layers`. */
export interface StageOptions {
  /** Directory of the checkpoint. */
  readonly model: string;
  readonly layers: LayerRange;
  readonly backend: BackendName;
  readonly gpu: GpuProvider;
  readonly decay: DecayConvention;
  /** As on the command line, `yarn:4`; null leaves the checkpoint's own. */
  readonly ropeScaling: string | null;
  /** In what the matrices are held. */
  readonly quantize: Quantize;
  /** In what the softmax layers keep keys and values. */
  readonly kvCache: KvCacheType;
  /** Sequences that may be in flight. */
  readonly slots: number;
  /** Positions a slot can hold. */
  readonly context: number;
  /** Most rows of one step. */
  readonly maxRows: number;
  /** Steps before the last whose logits are kept, as others may run before they are asked for; 0 if left out. */
  readonly keptLogits?: number;
  /** Linear states that may be kept besides those of the slots, counted from 0; none if left out. */
  readonly snapshots?: number;
  /** Pages of keys and values at most, of slots and snapshots; as many as full slots have if left out. */
  readonly pages?: number;
  /** The same on all stages of a machine, for the same bits; the usual ones if left out. */
  readonly kernels?: KernelChoice;
  /** Weights by chance; `model` may then be a config.json by itself. */
  readonly randomWeights?: boolean;
  /** Measure the devices' time of every step, and report every step. */
  readonly profile?: boolean;
  /** Where the memory of a WASM stage ends; at 4 GiB, as it must, if left out. */
  readonly memoryBytes?: number;
  /** What is advised where the layers do not fit; `more --stages` if left out. */
  readonly smaller?: string;
  /** To the threads that share a WASM stage's work with its own; none if left out. */
  readonly threadPorts?: readonly MessagePort[];
}

/** What a stage says of itself once it is open. */
export interface StageInfo {
  readonly layers: LayerRange;
  readonly backend: BackendName;
  /** The device's own name, `NVIDIA H100 80GB HBM3`, or `CPU (WASM SIMD)`. */
  readonly device: string;
  /** Where it comes from, if it is a GPU. */
  readonly gpu?: GpuProvider;
  readonly weightBytes: number;
  /** Linear states of all slots, whatever the context, and snapshots. */
  readonly stateBytes: number;
  /** KV cache of all slots at full context; it grows with the sequences. */
  readonly cacheBytes: number;
  /** V, tokens of the model's vocabulary. */
  readonly vocabulary: number;
  /** Sequences that had best decode in one step at most, where the device has such a border. */
  readonly decodeRows?: number;
}

/** Process → stage worker, once: options and the two ports of the stage. */
export interface OpenStage {
  readonly type: "open";
  readonly options: StageOptions;
  readonly input: MessagePort;
  readonly output: MessagePort;
}

/** Process → a further thread of a stage, once: its end of one of the stage's `threadPorts`. */
export interface OpenThread {
  readonly type: "open";
  readonly port: MessagePort;
}

/** Stage or engine worker → process. */
export type StageEvent =
  | { readonly type: "loading"; readonly loadedBytes: number; readonly totalBytes: number }
  | { readonly type: "opened"; readonly info: StageInfo }
  | { readonly type: "failed"; readonly reason: string };

// ---------------------------------------------------------------- requests: process → engine → process

/** One step, as whoever measures wants to know it. */
export interface StepReport {
  readonly segments: readonly Segment[];
  readonly outputs: number;
  /**
   * From the end of the step before, or from when there was something to do, until its tokens were sampled. Of steps that a device went
   * through by itself, each one's share.
   */
  readonly millis: number;
  /** Of it, what the devices worked; null where they cannot measure it. */
  readonly gpuMillis: number | null;
}

/** What stages keep for sequences to come, in the snapshots behind those of sequences that go on in chains. */
export interface PrefixCacheOptions {
  /** Positions of a page: states are kept at multiples of it. */
  readonly alignment: number;
  /** Snapshots; 0 keeps nothing. */
  readonly snapshots: number;
  /** Pages that they may keep together. */
  readonly pages: number;
  /** Bytes of one snapshot and of one page, on all stages together; 0 if left out. */
  readonly stateBytes?: number;
  readonly pageBytes?: number;
  /** What the host's memory may keep besides, behind a device that has its own; nothing if left out. */
  readonly host?: { readonly states: number; readonly pages: number };
}

/** What is kept for sequences to come. */
export interface PrefixCacheStatus {
  readonly device: KeptStatus;
  /** What was copied to the computer's memory, behind a device that has its own. */
  readonly host: KeptStatus;
}

export interface KeptStatus {
  readonly bytes: number;
  /** Sequences that began from it. */
  readonly hits: number;
}

export interface EngineOptions extends Omit<StageOptions, "layers" | "threadPorts"> {
  /** Threads of each WASM stage, its own among them; 1 if left out. */
  readonly threads?: number;
  /** Of each stage, where they are not all `gpu`, which is the first of them. */
  readonly gpus?: readonly GpuProvider[];
  /** How many different devices the stages are on: as many steps that decode are computed at the same time; 1 if left out. */
  readonly devices?: number;
  /** Most rows of a chunk of a prompt while other sequences decode, which wait for it; as many as a step may have if left out. */
  readonly rowsBeside?: number;
  /** Whether answers are the same, to the bit, whoever else is answered at the same time; then few sequences decode in one step. */
  readonly deterministic?: boolean;
  /** Whether a chain may follow another before that has been sampled, as is of use where the device works beside the engine's thread. */
  readonly chainsFollow?: boolean;
  /** How prompts are cut, and what of them is kept; anywhere, and nothing, if left out. */
  readonly prefixCache?: PrefixCacheOptions;
  /** One range a stage, in order, covering all layers. */
  readonly layers: readonly LayerRange[];
  /** Needed by requests with a grammar. */
  readonly tokens?: TokenBytes;
  /** Requests that may wait while all slots are taken; no bound if left out. Those beyond are refused. */
  readonly maxWaiting?: number;
}

export interface EngineInfo {
  readonly stages: readonly StageInfo[];
  /** Different devices that they are on, which work at the same time. */
  readonly devices: number;
  readonly context: number;
  readonly slots: number;
  readonly vocabulary: number;
}

/** What an engine does at the moment, and what it has done since it was opened. */
export interface EngineStatus {
  /** Sequences that have a slot. */
  readonly running: number;
  /** Sequences that wait for one. */
  readonly waiting: number;
  readonly steps: number;
  /** Tokens that went through the model in them, of prompts and answers. */
  readonly rows: number;
  /** How often a sequence had to give its pages to others, to be read again later. */
  readonly preemptions: number;
  readonly prefixCache: PrefixCacheStatus;
  /** Where its stages are members of a pool. */
  readonly pool?: PoolStatus;
}

/** Process → engine worker, once. The worker is a stage's too, the first one's, and answers with its StageEvents. */
export interface OpenEngine {
  readonly type: "open";
  readonly options: EngineOptions;
  /** The first stage's. */
  readonly threadPorts?: readonly MessagePort[];
  /** Carries ToEngine one way, lists of FromEngine the other. */
  readonly port: MessagePort;
  /** One u32, how many messages the process has sent: who steps without rest sees here that one waits. */
  readonly sent: SharedArrayBuffer;
  /** Where the first stage sends to and the last one's results come from; null if they are the same stage. */
  readonly further: { readonly output: MessagePort; readonly results: MessagePort } | null;
}

/** What an engine over a pool is told besides what its stages determine. */
export interface PoolEngineOptions extends Pick<EngineOptions, "rowsBeside" | "deterministic" | "profile" | "tokens"> {
  /** Requests that may wait while all slots are taken; no bound if left out. */
  readonly maxWaiting?: number;
}

/** Process → pool worker, once: an engine whose stages are other processes, which it finds as `pool` says. */
export interface OpenPool<Pool> {
  readonly type: "open";
  readonly pool: Pool;
  readonly options: PoolEngineOptions;
  /** As an engine's. */
  readonly port: MessagePort;
  readonly sent: SharedArrayBuffer;
}

/** Pool worker → process. */
export type PoolEvent =
  /** For what it waits, in one sentence; null when it is there. */
  | { readonly type: "waiting"; readonly what: string | null }
  | { readonly type: "opened"; readonly info: EngineInfo }
  /** It has left the pool in order. */
  | { readonly type: "left" }
  | { readonly type: "failed"; readonly reason: string };

/** Process → engine. Ids are the sender's and name one request until it finished or failed. */
export type ToEngine =
  | { readonly type: "generate"; readonly id: number; readonly request: GenerateRequest }
  | { readonly type: "score"; readonly id: number; readonly request: ScoreRequest }
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "status" }
  | { readonly type: "close" };

/** Engine → process; in lists, in the order in which things happened. */
export type FromEngine =
  | { readonly type: "token"; readonly id: number; readonly token: GeneratedToken }
  | { readonly type: "scored"; readonly id: number; readonly rows: ScoreRows }
  | { readonly type: "status"; readonly status: EngineStatus }
  /** Where steps are reported. */
  | { readonly type: "step"; readonly report: StepReport }
  | { readonly type: "finished"; readonly id: number; readonly finish: EngineFinish; readonly stats: GenerateStats }
  /** id null: the engine itself is broken and every request with it. */
  | {
    readonly type: "failed";
    readonly id: number | null;
    readonly reason: string;
    /** It is the request's grammar that is to blame. */
    readonly grammar?: boolean;
    /** Nobody is there to compute it. */
    readonly unavailable?: boolean;
  }
  /** As `failed`: there is not memory enough for this request alone. */
  | { readonly type: "tooLong"; readonly id: number; readonly reason: string };
