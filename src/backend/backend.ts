/** Who computes: the operations of the model, recorded once into a plan and run for every step. */
import { nextTick } from "node:process";
import type { Draw, Segment } from "../pipeline/steps.ts";
import type { DataType, Tensor, TensorShape, Weight } from "./tensor.ts";

/** A weight with its bias `[N]`, where the checkpoint has one. */
export interface Linear {
  readonly weight: Weight;
  readonly bias: Tensor | null;
}

/** RMSNorm: `weight ⊙ x / sqrt(mean(x²) + eps)` over the last axis (spec c.1). weight: [H] */
export interface Norm {
  readonly weight: Tensor;
  readonly eps: number;
}

/** From the fused projection to q, k and v (spec c.2, c.3), rows ordered [heads q, kvHeads k, kvHeads v], each of headDim. */
export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** SiLU over all of qkv, before the norms. */
  readonly silu: boolean;
  /** Norms of every q and k head, weights [headDim]; before the rotation. */
  readonly queryNorm: Norm | null;
  readonly keyNorm: Norm | null;
  /** Cosines and sines of every position, [context, 2, rotaryDim / 2]; channel j turns with j + rotaryDim / 2. null: no rotation. */
  readonly rope: Tensor | null;
}

/** The linear layers' recurrence and what follows it (spec c.6, c.7). */
export interface LinearAttention extends Heads {
  /** ln of the state's factor per token, one a head, all ≤ 0. */
  readonly logDecay: readonly number[];
  /** Norm in `groups` equal pieces, weight [heads · headDim]. */
  readonly groupNorm: Norm;
  readonly groups: number;
}

/** How experts are chosen (spec c.9). Ties go to the lower index, for groups and for experts. */
export interface Router {
  readonly score: "sigmoid" | "softmax";
  readonly groups: number;
  readonly groupsKept: number;
  readonly perToken: number;
  readonly normalize: boolean;
  readonly scale: number;
  /** [E], added to the scores to choose with; not to the weights. */
  readonly bias: Tensor | null;
}

/** The choice of K experts for each row. */
export interface Routing {
  /** u32 [T, K], by falling selection score */
  readonly ids: Tensor;
  /** f32 [T, K] */
  readonly weights: Tensor;
}

/** The expert that every row goes through beside the chosen ones: out[T, I'], gate and up [I', H] */
export interface SharedGateUp {
  readonly out: Tensor;
  readonly gate: Weight;
  readonly up: Weight;
}

/** Its way back: x[T, I'], down[H, I'] */
export interface SharedDown {
  readonly x: Tensor;
  readonly down: Weight;
}

/** The likeliest tokens of each output row. */
export interface CandidateTensors {
  /** u32 [R, K], by falling logit, ties to the lower id */
  readonly ids: Tensor;
  /** f32 [R, K] */
  readonly logits: Tensor;
  /** f32 [R] */
  readonly logSumExp: Tensor;
}

/**
 * Some pages of one layer's keys and values, [pages, kvHeads, positions of a page, D'], f32 or f16. A layer's blocks number their pages
 * one after the other. Positions of a page are a power of two from 64 on; D' is D, for f16 rounded up to a multiple of 8.
 */
export interface CacheBlock {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/**
 * The operations, in the order in which a stage records them. T rows are a step's tokens, R its output rows; H hidden, N output
 * width, I expert width, E experts, K experts a token, V vocabulary. Tensors hold the most rows that a step may have.
 * Accumulation is f32 and never depends on which other rows are in the step; it may differ between plans for few rows and for many.
 * What an operation leaves for the next ones only, such as qkv, gate, a routing or the experts' inner rows, may not be there after a run:
 * backends join operations that follow each other.
 */
export interface Ops {
  /** hidden[t] = table[token t]: hidden[T, H], table[V, H] */
  embed(hidden: Tensor, table: Weight): void;
  /** hidden[t] = the rows that came from the stage before: hidden[T, H] */
  receive(hidden: Tensor): void;
  /** outs[i] = norm(hidden) @ W_i^T + b_i: outs[i][T, N_i], hidden[T, H], W_i[N_i, H] */
  project(outs: readonly Tensor[], hidden: Tensor, norm: Norm, maps: readonly Linear[]): void;
  /** hidden += x @ W^T + b: hidden[T, H], x[T, N], W[H, N] */
  projectAdd(hidden: Tensor, x: Tensor, map: Linear): void;
  /**
   * out = groupNorm(o) ⊙ sigmoid(gate), with o_t = D^(-1/2) q_t S_t and S_t = exp(g) S_(t-1) + k_t ⊗ v_t from and into every segment's
   * places ({@linkcode StepInput.places}): out[T, heads · D], qkv[T, 3 · heads · D] (clobbered), gate[T, heads · D],
   * state[places, heads, D(k), D(v)], which lies in one piece
   */
  linearAttention(out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor, how: LinearAttention): void;
  /**
   * Appends k and v to the caches, then causal attention over the slot's positions, scale D^(-1/2); q head h reads kv head
   * floor(h / (heads / kvHeads)): out[T, heads · D], qkv[T, (heads + 2 kvHeads) · D] (clobbered). Where a sequence's positions lie
   * is the step's to say ({@linkcode StepInput.pages}), and no result depends on it.
   */
  softmaxAttention(out: Tensor, qkv: Tensor, cache: readonly CacheBlock[], how: Heads): void;
  /** out = silu(n @ gate^T) ⊙ (n @ up^T), n = norm(hidden): out[T, I], gate and up [I, H] */
  gateUp(out: Tensor, hidden: Tensor, norm: Norm, gate: Weight, up: Weight): void;
  /** Chooses experts from the scores of norm(hidden) @ map^T: map[E, H] */
  route(routing: Routing, hidden: Tensor, norm: Norm, map: Weight, how: Router): void;
  /** out[t, k] = silu(n_t @ gate[e]^T) ⊙ (n_t @ up[e]^T), n = norm(hidden), e = ids[t, k], and the shared expert's: out[T, K, I], gate and up [E, I, H] */
  expertsGateUp(
    out: Tensor,
    hidden: Tensor,
    norm: Norm,
    routing: Routing,
    gate: Weight,
    up: Weight,
    shared?: SharedGateUp | null,
  ): void;
  /** hidden[t] += Σ_k weights[t, k] · (x[t, k] @ down[e]^T), e = ids[t, k], and what the shared expert adds: hidden[T, H], x[T, K, I], down[E, H, I] */
  expertsDownAdd(hidden: Tensor, x: Tensor, routing: Routing, down: Weight, shared?: SharedDown | null): void;
  /** logits[r] = norm(hidden[outputs[r]]) @ map^T: logits[R, V], map[V, H] */
  head(logits: Tensor, hidden: Tensor, norm: Norm, map: Weight): void;
  /** The K likeliest of each row, and its log-sum-exp: logits[R, V] */
  candidates(out: CandidateTensors, logits: Tensor): void;
  /**
   * Notes each output row's candidates, and where the step says how ({@linkcode StepInput.draws}) draws its token, with which the next
   * step goes on: trail u32 [steps · R, 2 K + 2], a row's ids, logits, log-sum-exp (both as bits) and token. Top-k, top-p and min-p in this
   * order, then the first candidate at which the running mass reaches u times what is kept. What the other tokens weigh follows from
   * log-sum-exp, exactly only at temperature 1; if the draw falls among them it is the last candidate.
   */
  draw(trail: Tensor, candidates: CandidateTensors): void;
}

/** What a plan is recorded for: steps of at most so many rows, segments and outputs. */
export interface Capacity {
  readonly rows: number;
  readonly segments: number;
  readonly outputs: number;
  /** Pages of a sequence; none by default. */
  readonly pages?: number;
  /** How often the pages of a sequence, in their order, may pass through the blocks of a cache from first to last; once by default. */
  readonly rounds?: number;
  /** Draws, those of all steps of a chain together; none by default. */
  readonly draws?: number;
}

/** A recorded sequence of operations, made and run by one backend. */
export interface Plan {
  readonly capacity: Capacity;
}

/** Where a segment's linear states are read, unless it starts from empty ones, and where they are written: indices of every layer's states. */
export interface StatePlaces {
  readonly from: number;
  readonly to: number;
}

/** Linear states that a layer may have. */
export const MOST_PLACES = 2 ** 16;

/** What changes from step to step. */
export interface StepInput {
  readonly segments: readonly Segment[];
  /** Of each segment, the page of every stretch of positions of its sequence, from the first one to that of its last row. */
  readonly pages?: readonly (readonly number[])[];
  /** [R] rows, ascending */
  readonly outputs: Uint32Array;
  /** Token ids [T] for a plan that embeds, hidden rows [T, H] for one that receives; null for the tokens that the run before drew last, by the same plan. */
  readonly rows: Uint32Array | Float32Array | null;
  /** Of each segment, below {@linkcode MOST_PLACES}; read and written at its slot's index if left out. No place is written by one and read or written by another. */
  readonly places?: readonly StatePlaces[];
  /** Makes it a chain, [steps, R]: how the token of each output is drawn, which is its row's in the next step. Every segment has one row, and that is an output. */
  readonly draws?: readonly (readonly Draw[])[];
}

/** The places of each segment. */
export const placesOf = ({ segments, places }: StepInput): readonly StatePlaces[] =>
  places ?? segments.map(({ slot }) => ({ from: slot, to: slot }));

/** Steps of a chain; 1 if it is none. */
export const stepsOf = ({ draws = [] }: StepInput): number => Math.max(1, draws.length);

/** Elements of a tensor, to be read back after a run. Both ends fall on multiples of 4 bytes. */
export interface Read {
  readonly tensor: Tensor;
  /** The first one; 0 if left out. */
  readonly from?: number;
  readonly elements: number;
}

/** Random values for a tensor; the same seed gives the same ones on one backend. */
export interface RandomValues {
  /** Below 2^32. */
  readonly seed: number;
  /** f32, bf16 and f16 are spread evenly within `spread` of `centre`. Codes that need factors are any but NaN. */
  readonly spread: number;
  readonly centre: number;
}

/** The device is gone, with everything on it: a driver was reset, a GPU unplugged, or the backend disposed of. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
}

/** The device has no room for something: a tensor of this label, or memory that a plan needs. */
export class OutOfMemoryError extends RangeError {
  override readonly name = "OutOfMemoryError";

  constructor(readonly label: string, bytes: number, device: string, used: number) {
    super(
      `Cannot allocate ${label} (${bytes} bytes) on ${device} beside the ${used} bytes that are in use: ` +
        "use --quantize q4, a smaller --max-context, fewer --max-sequences or more --stages",
    );
  }
}

/**
 * Resolves when the thread has nothing else to do, but before it waits for anything: after what others have left for that
 * moment with nextTick, such as messages to other threads.
 */
export const rest = (): Promise<void> => new Promise((resolve) => nextTick(resolve));

/** A device with its memory. Everything it made is freed with it. */
export interface Backend extends Disposable {
  /** The device's own name. */
  readonly device: string;
  /** Bytes of all tensors made so far, padding included. */
  readonly bytes: number;
  /** Bytes that it can hold at most; Infinity if it cannot tell. */
  readonly maxBytes: number;
  /** Bytes of the largest tensor that lies in one piece, as blocks of a cache must. */
  readonly pieceBytes: number;
  /** Whether its memory is the computer's. */
  readonly onHost: boolean;
  /** Rows that a step had best have at most where each is another sequence's: more are computed as prompts are. Infinity where that is no worse. */
  readonly decodeRows: number;
  /** Rows of steps that are best run before the first one, in this order, where code gets faster by being run. */
  readonly warmRows?: readonly number[];
  /** Milliseconds that the device worked on the last run; null unless it was opened to measure them. */
  readonly gpuMillis: number | null;
  /** A tensor of zeros. If the device has no room for it, this or what comes next throws OutOfMemoryError. */
  tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor;
  /** The same while steps run: all of them, or none where the device has no room; then it rejects with OutOfMemoryError and stays usable. */
  allocate(wanted: readonly TensorShape[]): Promise<Tensor[]>;
  /** Writes `bytes` from the element `offset` on; both ends fall on multiples of 4 bytes. Resolves when `bytes` may be reused. */
  write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void>;
  /** So many bytes of a tensor from the element `offset` on, to be put there by whoever brings them; where the device's memory is the thread's. */
  inPlace?(tensor: Tensor, offset: number, bytes: number): Uint8Array<ArrayBuffer>;
  /** Fills a tensor where it lies. Throws TypeError for u32. */
  fill(tensor: Tensor, values: RandomValues): Promise<void>;
  /** Calls `build` once and keeps what it recorded. */
  record(capacity: Capacity, build: (ops: Ops) => void): Plan;
  /**
   * Runs a plan for one step, or for all of a chain, and reads some tensors back, in the order of `reads`. Rejects with DeviceLostError for good.
   * However long it keeps the thread, it awaits {@linkcode rest} before, with the device at work if there is one. A run that is asked for
   * until then follows at once: the device need not wait for anybody to hear of the results.
   */
  run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]>;
  /** Copies a tensor's first elements, as the last run left them, to another of the same shape; on the device, before what is run next. */
  copy(from: Tensor, to: Tensor, elements: number): Promise<void>;
  /** Reads tensors as the last run left them. */
  read(reads: readonly Read[]): Promise<ArrayBuffer[]>;
  /** The same, one after the other in one buffer, which takes a copy less. */
  gather(reads: readonly Read[]): Promise<ArrayBuffer>;
}
