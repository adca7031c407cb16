/** The operations as calls of kernels: pointers bound once, row counts named, to be read from the step that runs. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory, Ptr } from "../../../wasm/memory.ts";
import type {
  CacheBlock,
  CandidateTensors,
  Heads,
  Linear,
  LinearAttention,
  Norm,
  Ops,
  Router,
  Routing,
  SharedDown,
  SharedGateUp,
} from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { recordLinearAttention, recordSoftmaxAttention } from "./attention_ops.ts";
import { f32, sides, u32 } from "./binding.ts";
import { drawIndex } from "./draw.ts";
import { recordExpertsDownAdd, recordExpertsGateUp, recordGateUp, recordRoute, recordSwiglu } from "./expert_ops.ts";
import { Input } from "./input.ts";
import { type Recording, rows } from "./recording.ts";

/** Records into `recording`. */
export class Recorder implements Ops {
  readonly #recording: Recording;
  readonly #memory: Memory<KernelsExports>;

  constructor(recording: Recording, memory: Memory<KernelsExports>) {
    this.#recording = recording;
    this.#memory = memory;
  }

  embed(hidden: Tensor, table: Weight): void {
    const { step, bindings } = this.#recording;
    this.#recording.changing();
    this.#recording.call(
      "embed",
      [f32(hidden), step.tokens, bindings.matrix(table), "begin", "end"],
      rows(sides(table)[1]),
    );
  }

  receive(hidden: Tensor): void {
    const { step } = this.#recording;
    const y = f32(hidden);
    this.#recording.changing();
    this.#recording.here(() => this.#memory.view("f32", y, step.received.length).set(step.received));
  }

  project(outs: readonly Tensor[], hidden: Tensor, norm: Norm, maps: readonly Linear[]): void {
    const x = this.#recording.normed(hidden, norm);
    maps.forEach(({ weight, bias }, i) => {
      this.#recording.product(f32(outs[i]!), x, weight, { bias, beside: i > 0 });
    });
  }

  projectAdd(hidden: Tensor, x: Tensor, { weight, bias }: Linear): void {
    this.#recording.changing();
    const input = new Input("input", f32(x), "rowCount", this.#recording.capacity.rows);
    this.#recording.product(f32(hidden), input, weight, { bias, add: true });
  }

  linearAttention(out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor, how: LinearAttention): void {
    recordLinearAttention(this.#recording, [out, qkv, gate, state], how);
  }

  softmaxAttention(out: Tensor, qkv: Tensor, cache: readonly CacheBlock[], how: Heads): void {
    recordSoftmaxAttention(this.#recording, [out, qkv], cache, how);
  }

  gateUp(out: Tensor, hidden: Tensor, norm: Norm, gate: Weight, up: Weight): void {
    recordGateUp(this.#recording, out, this.#recording.normed(hidden, norm), [gate, up], "call");
    recordSwiglu(this.#recording, out, "call");
  }

  route(routing: Routing, hidden: Tensor, norm: Norm, map: Weight, how: Router): void {
    recordRoute(this.#recording, routing, [hidden, norm, map], how);
  }

  expertsGateUp(
    out: Tensor,
    hidden: Tensor,
    norm: Norm,
    routing: Routing,
    gate: Weight,
    up: Weight,
    shared: SharedGateUp | null = null,
  ): void {
    recordExpertsGateUp(this.#recording, out, [hidden, norm], routing, [gate, up], shared);
  }

  expertsDownAdd(hidden: Tensor, x: Tensor, routing: Routing, down: Weight, shared: SharedDown | null = null): void {
    recordExpertsDownAdd(this.#recording, [hidden, x], routing, down, shared);
  }

  head(logits: Tensor, hidden: Tensor, norm: Norm, map: Weight): void {
    const { step, capacity, scratch, bindings } = this.#recording;
    const [weight, H] = [f32(norm.weight), norm.weight.shape[0]!];
    const x = scratch.get("outputs", "f32", capacity.outputs * H);
    const all = bindings.matrix({ values: hidden, scales: null });
    this.#recording.call("embed", [x, step.outputs, all, "begin", "end"], rows(4 * H, "outputCount"));
    this.#recording.call("rms_norm", [x, x, weight, norm.eps, H, "begin", "end"], rows(4 * H, "outputCount"));
    this.#recording.product(f32(logits), new Input("input", x, "outputCount", capacity.outputs), map);
  }

  candidates({ ids, logits, logSumExp }: CandidateTensors, all: Tensor): void {
    const [K, V] = [ids.shape[1]!, all.shape[1]!];
    const [i, y, sum, x] = [u32(ids), f32(logits), f32(logSumExp), f32(all)];
    this.#recording.call("candidates", [i, y, sum, x, V, K, "begin", "end"], rows(32 * V, "outputCount"));
  }

  draw(trail: Tensor, { ids, logits, logSumExp }: CandidateTensors): void {
    const { step } = this.#recording;
    const K = ids.shape[1]!;
    const view = <E extends "u32" | "f32">(type: E, at: Ptr<E>, count: number) => this.#memory.view(type, at, count);
    this.#recording.here(() => {
      const R = step.outputCount;
      const first = step.number * R;
      const [words, values] = [(first + R) * (2 * K + 2), R * K];
      const noted = view("u32", u32(trail), words);
      const [tokens, bits] = [view("u32", u32(ids), values), view("u32", f32(logits) as unknown as Ptr<"u32">, values)];
      const sums = view("f32", f32(logSumExp), R);
      for (let r = 0; r < R; r++) {
        const [row, at] = [noted.subarray((first + r) * (2 * K + 2)), r * K];
        row.set(tokens.subarray(at, at + K));
        row.set(bits.subarray(at, at + K), K);
        row[2 * K] = floatBits(sums[r]!);
        const draw = step.draw(r);
        if (draw) {
          row[2 * K + 1] =
            tokens[at + drawIndex(view("f32", f32(logits), values).subarray(at, at + K), sums[r]!, draw)]!;
        }
      }
      step.goOn((r) => noted[(first + r) * (2 * K + 2) + 2 * K + 1]!);
    });
  }
}

const floatBits = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;
