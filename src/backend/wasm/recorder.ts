/** The operations as calls of kernels: pointers bound once, row counts named, to be read from the step that runs. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory } from "../../../wasm/memory.ts";
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
    const { scratch } = this.#recording;
    const { chain, rules, tokens, positions, segments } = this.#recording.step;
    const K = ids.shape[1]!;
    const masses = scratch.get("masses", "f64", K);
    const found = [u32(ids), f32(logits), f32(logSumExp)] as const;
    this.#recording.call(
      "draw",
      [u32(trail), ...found, chain, rules, tokens, positions, segments, masses, K, "end"],
      rows(0, "outputCount"),
    );
  }
}
