/** Typed bindings of kernels.wasm, generated from kernels.h by build.ts. Do not edit. */
import type { ModuleExports, Ptr } from "./memory.ts";

/** Where the module lies. */
export const url: URL = new URL("./kernels.wasm", import.meta.url);

/** The functions of kernels.h. */
export interface KernelsExports extends ModuleExports {
  /**
   * y[t,k] = W[ids[t],k]
   */
  embed(y: Ptr<"f32">, ids: Ptr<"u32">, matrix: Ptr<"u32">, begin: number, end: number): void;

  /**
   * y[t,h] = weight[h] · x[t,h] / sqrt(mean_h(x²) + eps)
   */
  rms_norm(y: Ptr<"f32">, x: Ptr<"f32">, weight: Ptr<"f32">, eps: number, h: number, begin: number, end: number): void;

  /**
   * y[t,n] = x[t,k] @ W[n,k]^T + bias[n], with `add_to` y[t,n] += …; scratch[36,k]; begin, end: of n
   */
  matmul(
    y: Ptr<"f32">,
    x: Ptr<"f32">,
    matrix: Ptr<"u32">,
    scratch: Ptr<"f32">,
    rows: number,
    addTo: number,
    begin: number,
    end: number,
  ): void;

  /**
   * Rows of x[t,k] as integers, for weights of type q8 or q4: narrowed rows, each of which has, of every 32 columns,
   *   q8: i16[16] for the even ones, i16[16] for the odd ones of each 16; then f32[k / 32 or some more] scales
   *   q4: i8[16] for the even ones, i8[16] for the odd ones; scales as above; as many sums of the codes times the scale
   */
  narrow(y: Ptr<"u32">, x: Ptr<"f32">, type: number, k: number, begin: number, end: number): void;

  /**
   * matmul for a matrix of q8 or q4, of narrowed rows
   */
  matmul_codes(
    y: Ptr<"f32">,
    x: Ptr<"u32">,
    matrix: Ptr<"u32">,
    scratch: Ptr<"f32">,
    rows: number,
    addTo: number,
    begin: number,
    end: number,
  ): void;

  /**
   * x[i] = silu(x[i])
   */
  silu(x: Ptr<"f32">, begin: number, end: number): void;

  /**
   * gate[i] = silu(gate[i]) · up[i]
   */
  swiglu(gate: Ptr<"f32">, up: Ptr<"f32">, begin: number, end: number): void;

  /**
   * For x[t,heads,d], rows `stride` elements apart: RMSNorm over d unless weight is 0; then, unless rope is 0, channel
   * j < half turns with channel j + half by the angle of positions[t]; rope[position,2,half]: cosines, then sines
   */
  norm_rope(
    x: Ptr<"f32">,
    stride: number,
    heads: number,
    d: number,
    weight: Ptr<"f32">,
    eps: number,
    rope: Ptr<"f32">,
    half: number,
    positions: Ptr<"u32">,
    begin: number,
    end: number,
  ): void;

  /**
   * out[t,heads,d] = d^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t from and into state[place,heads,d(k),d(v)],
   * zero before position 0: qkv[t,3,heads,d], d ≤ 256; decays[heads,2,33]: exp(g i), then 1 - exp(g i), i = 0 … 32;
   * begin, end: of [segments, heads]
   */
  linear_attention(
    out: Ptr<"f32">,
    qkv: Ptr<"f32">,
    state: Ptr<"f32">,
    decays: Ptr<"f32">,
    segments: Ptr<"u32">,
    heads: number,
    d: number,
    begin: number,
    end: number,
  ): void;

  /**
   * x[t,w] = weight[w] · x[t,w] / sqrt(mean(x²) + eps) · sigmoid(gate[t,w]), the mean over each of `groups` equal pieces
   */
  group_norm_gate(
    x: Ptr<"f32">,
    gate: Ptr<"f32">,
    weight: Ptr<"f32">,
    eps: number,
    w: number,
    groups: number,
    begin: number,
    end: number,
  ): void;

  /**
   * Writes the k and v of qkv[t, heads + 2 kv_heads, d] into the cache, in pages tables[s,most] of each segment;
   * begin, end: of kv heads
   */
  append(
    cache: Ptr<"u32">,
    tables: Ptr<"u32">,
    most: number,
    qkv: Ptr<"f32">,
    segments: Ptr<"u32">,
    count: number,
    heads: number,
    kvHeads: number,
    d: number,
    begin: number,
    end: number,
  ): void;

  /**
   * out[t,heads,d] = softmax(d^(-1/2) q · keys) @ values over the positions up to the row's own; q head h reads kv head
   * h / (heads / kv_heads): qkv[t, heads + 2 kv_heads, d], d ≤ 256; keys and values in pages tables[s,most] of each
   * segment; scratch[64,d]; begin, end: of [kv heads, t], with `rows` of t
   */
  attention(
    out: Ptr<"f32">,
    qkv: Ptr<"f32">,
    cache: Ptr<"u32">,
    tables: Ptr<"u32">,
    most: number,
    segments: Ptr<"u32">,
    count: number,
    heads: number,
    kvHeads: number,
    d: number,
    scratch: Ptr<"f32">,
    rows: number,
    begin: number,
    end: number,
  ): void;

  /**
   * x[i] = sigmoid(x[i])
   */
  sigmoid(x: Ptr<"f32">, begin: number, end: number): void;

  /**
   * x[t,n] = softmax over n
   */
  softmax(x: Ptr<"f32">, n: number, begin: number, end: number): void;

  /**
   * ids[t,k], weights[t,k]: the k best of scores[t,e] + bias[e] (bias may be 0), falling, ties to the lower index, from
   * the `kept` best of `groups` equal groups by the sum of their two best; weights: scale · score, with `normalize` over
   * the sum of the k scores; e ≤ 1024
   */
  choose(
    ids: Ptr<"u32">,
    weights: Ptr<"f32">,
    scores: Ptr<"f32">,
    bias: Ptr<"f32">,
    e: number,
    groups: number,
    kept: number,
    k: number,
    normalize: number,
    scale: number,
    begin: number,
    end: number,
  ): void;

  /**
   * order[p]: the pairs p by rising expert ids[p], in their order; those of expert e are order[starts[e] … starts[e+1])
   */
  sort_by_expert(order: Ptr<"u32">, starts: Ptr<"u32">, ids: Ptr<"u32">, pairs: number, experts: number): void;

  /**
   * y[p,n] = x[p / per_row,k] @ W[e,n,k]^T for the pairs p in order[starts[e] … starts[e+1]); scratch[36,k];
   * begin, end: of n
   */
  experts_matmul(
    y: Ptr<"f32">,
    x: Ptr<"f32">,
    matrix: Ptr<"u32">,
    scratch: Ptr<"f32">,
    order: Ptr<"u32">,
    starts: Ptr<"u32">,
    experts: number,
    perRow: number,
    begin: number,
    end: number,
  ): void;

  /**
   * experts_matmul for a matrix of q8 or q4, of narrowed rows
   */
  experts_matmul_codes(
    y: Ptr<"f32">,
    x: Ptr<"u32">,
    matrix: Ptr<"u32">,
    scratch: Ptr<"f32">,
    order: Ptr<"u32">,
    starts: Ptr<"u32">,
    experts: number,
    perRow: number,
    begin: number,
    end: number,
  ): void;

  /**
   * hidden[t,h] += Σ_k weights[t,k] · y[t,k,h]
   */
  combine(
    hidden: Ptr<"f32">,
    y: Ptr<"f32">,
    weights: Ptr<"f32">,
    k: number,
    h: number,
    begin: number,
    end: number,
  ): void;

  /**
   * ids[r,k], logits[r,k]: the k ≤ n greatest of x[r,n], falling, ties to the lower index;
   * log_sum_exp[r] = ln Σ_n exp(x[r,n])
   */
  candidates(
    ids: Ptr<"u32">,
    logits: Ptr<"f32">,
    logSumExp: Ptr<"f32">,
    x: Ptr<"f32">,
    n: number,
    k: number,
    begin: number,
    end: number,
  ): void;

  /**
   * Notes each row's candidates, trail[step · r, 2 k + 2]: ids, logits, log_sum_exp and, while step = chain[0] < chain[1], the
   * token drawn by rules[step,r,5] (temperature, top-k, top-p, min-p, u), with which its sequence's next row goes on in
   * tokens[r], positions[r] and segments[r,4]; chain[0] is then one more. scratch[k]; end: of r
   */
  draw(
    trail: Ptr<"u32">,
    ids: Ptr<"u32">,
    logits: Ptr<"f32">,
    logSumExp: Ptr<"f32">,
    chain: Ptr<"u32">,
    rules: Ptr<"f64">,
    tokens: Ptr<"u32">,
    positions: Ptr<"u32">,
    segments: Ptr<"u32">,
    scratch: Ptr<"f64">,
    k: number,
    end: number,
  ): void;

  /**
   * y[i] = exp(x[i]), relative error ≤ 2e-7: what all kernels use, exported for its test
   */
  exponential(y: Ptr<"f32">, x: Ptr<"f32">, begin: number, end: number): void;

  /**
   * Makes pieces of run `run` beside other threads until none is left to be taken; 0 if the threads are done for: board as
   * in tickets.ts, program as in program.ts
   */
  share(board: Ptr<"u32">, program: Ptr<"u32">, run: number, thread: number): number;

  /**
   * Waits until all pieces of the run are done; 0 if they never will be
   */
  wait_done(board: Ptr<"u32">, program: Ptr<"u32">, run: number): number;

  /**
   * Shares every run that the thread is called to, until the threads are let go
   */
  serve(board: Ptr<"u32">, thread: number): number;
}
