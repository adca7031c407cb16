/** The operations as plain float64 loops: what every kernel is compared with. Slow, obvious, and nothing else. */
import {
  type CacheBlock,
  type CandidateTensors,
  type Heads,
  type LinearAttention,
  type Norm,
  type Ops,
  placesOf,
  type Router,
  type Routing,
  type SharedDown,
  type SharedGateUp,
  type StatePlaces,
  type StepInput,
} from "../../src/backend/backend.ts";
import type { Tensor, Weight } from "../../src/backend/tensor.ts";
import {
  choose,
  dot,
  drawnPlace,
  half,
  normalized,
  prepare,
  ranked,
  rmsNorm,
  scores,
  sigmoid,
  silu,
} from "./reference_maths.ts";
import { apply, data, last, rowOf, weightAt } from "./reference_tensor.ts";

/** `number`: how many further steps were before. */
export type Call = (step: StepInput, number: number) => void;

/** Every row of a step with where it belongs. */
function* rowsOf(
  step: StepInput,
): Generator<{ row: number; segment: number; places: StatePlaces; position: number; begins: boolean }> {
  let row = 0;
  for (const [segment, { start, rows }] of step.segments.entries()) {
    const { from, to } = placesOf(step)[segment]!;
    for (let i = 0; i < rows; i++) {
      const places = { from: i === 0 ? from : to, to };
      yield { row: row++, segment, places, position: start + i, begins: start + i === 0 };
    }
  }
}

const rowCount = (step: StepInput): number => step.segments.reduce((sum, segment) => sum + segment.rows, 0);

/** Records calls that compute one operation after the other. */
export class ReferenceRecorder implements Ops {
  readonly calls: Call[] = [];
  readonly #product: typeof apply;

  /** `product` is that of all rows with a weight, but for the router's and the head's. */
  constructor(product: typeof apply = apply) {
    this.#product = product;
  }

  #each(call: (row: number) => void): void {
    this.calls.push((step) => {
      for (let row = 0; row < rowCount(step); row++) call(row);
    });
  }

  embed(hidden: Tensor, table: Weight): void {
    this.calls.push((step) => {
      step.rows!.forEach((token, row) => {
        rowOf(hidden, row).forEach((_, k, out) => out[k] = weightAt(table, 0, token, k));
      });
    });
  }

  receive(hidden: Tensor): void {
    this.calls.push((step) => data(hidden).set(step.rows!));
  }

  project(outs: readonly Tensor[], hidden: Tensor, norm: Norm, maps: Parameters<Ops["project"]>[3]): void {
    this.#each((row) => {
      const x = rmsNorm(rowOf(hidden, row), norm);
      maps.forEach(({ weight, bias }, i) => {
        rowOf(outs[i]!, row).set(this.#product(weight, x).map((y, n) => y + (bias === null ? 0 : data(bias)[n]!)));
      });
    });
  }

  projectAdd(hidden: Tensor, x: Tensor, { weight, bias }: Parameters<Ops["projectAdd"]>[2]): void {
    this.#each((row) => {
      const y = this.#product(weight, rowOf(x, row));
      rowOf(hidden, row).forEach((value, n, out) => out[n] = value + y[n]! + (bias === null ? 0 : data(bias)[n]!));
    });
  }

  linearAttention(out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor, how: LinearAttention): void {
    const { heads, headDim: D } = how;
    this.calls.push((step) => {
      for (const { row, places: { from, to }, position, begins } of rowsOf(step)) {
        const { q, k, v } = prepare(qkv, row, position, how);
        const mixed = new Float64Array(heads * D);
        for (let h = 0; h < heads; h++) {
          const [before, S] = [from, to].map((place) =>
            data(state).subarray((place * heads + h) * D * D, (place * heads + h + 1) * D * D)
          ) as [Float64Array, Float64Array];
          const decay = begins ? 0 : Math.exp(how.logDecay[h]!);
          for (let a = 0; a < D; a++) {
            for (let b = 0; b < D; b++) {
              S[a * D + b] = (decay === 0 ? 0 : decay * before[a * D + b]!) + k[h]![a]! * v[h]![b]!;
              mixed[h * D + b]! += q[h]![a]! * S[a * D + b]! / Math.sqrt(D);
            }
          }
        }
        const size = mixed.length / how.groups;
        for (let g = 0; g < how.groups; g++) {
          mixed.set(normalized(mixed.slice(g * size, (g + 1) * size), how.groupNorm.eps), g * size);
        }
        const [weight, gates] = [data(how.groupNorm.weight), rowOf(gate, row)];
        rowOf(out, row).set(mixed.map((value, i) => value * weight[i]! * sigmoid(gates[i]!)));
      }
    });
  }

  softmaxAttention(out: Tensor, qkv: Tensor, cache: readonly CacheBlock[], how: Heads): void {
    const { heads, kvHeads, headDim: D } = how;
    const [, , size, width] = cache[0]!.keys.shape as [number, number, number, number];
    const all = cache.flatMap((block) => Array.from({ length: block.keys.shape[0]! }, (_, page) => ({ block, page })));
    const stored = cache[0]!.keys.dtype === "f16" ? half : (x: number) => x;
    this.calls.push((step) => {
      for (const { row, segment, position } of rowsOf(step)) {
        const at = (which: keyof CacheBlock, position: number, g: number) => {
          const { block, page } = all[step.pages![segment]![Math.floor(position / size)]!]!;
          const start = ((page * kvHeads + g) * size + position % size) * width;
          return data(block[which]).subarray(start, start + D);
        };
        const { q, k, v } = prepare(qkv, row, position, how);
        for (let g = 0; g < kvHeads; g++) {
          at("keys", position, g).set(k[g]!.map(stored));
          at("values", position, g).set(v[g]!.map(stored));
        }
        for (let h = 0; h < heads; h++) {
          const g = Math.floor(h / (heads / kvHeads));
          const logits = Float64Array.from(
            { length: position + 1 },
            (_, p) => dot(q[h]!, at("keys", p, g)) / Math.sqrt(D),
          );
          const probs = scores(logits, "softmax");
          const target = rowOf(out, row).subarray(h * D, (h + 1) * D).fill(0);
          probs.forEach((p, seen) => at("values", seen, g).forEach((value, d) => target[d]! += p * value));
        }
      }
    });
  }

  gateUp(out: Tensor, hidden: Tensor, norm: Norm, gate: Weight, up: Weight): void {
    this.#each((row) => {
      const x = rmsNorm(rowOf(hidden, row), norm);
      const [a, b] = [this.#product(gate, x), this.#product(up, x)];
      rowOf(out, row).set(a.map((value, i) => silu(value) * b[i]!));
    });
  }

  route(routing: Routing, hidden: Tensor, norm: Norm, map: Weight, how: Router): void {
    this.#each((row) => {
      const { ids, weights } = choose(apply(map, rmsNorm(rowOf(hidden, row), norm)), how);
      rowOf(routing.ids, row).set(ids);
      rowOf(routing.weights, row).set(weights);
    });
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
    if (shared !== null) this.gateUp(shared.out, hidden, norm, shared.gate, shared.up);
    const [, K, I] = out.shape as [number, number, number];
    this.#each((row) => {
      const x = rmsNorm(rowOf(hidden, row), norm);
      rowOf(routing.ids, row).forEach((e, k) => {
        const [a, b] = [this.#product(gate, x, e), this.#product(up, x, e)];
        data(out).set(a.map((value, i) => silu(value) * b[i]!), (row * K + k) * I);
      });
    });
  }

  expertsDownAdd(hidden: Tensor, x: Tensor, routing: Routing, down: Weight, shared: SharedDown | null = null): void {
    if (shared !== null) this.projectAdd(hidden, shared.x, { weight: shared.down, bias: null });
    const [, K, I] = x.shape as [number, number, number];
    this.#each((row) => {
      rowOf(routing.ids, row).forEach((e, k) => {
        const y = this.#product(down, data(x).subarray((row * K + k) * I, (row * K + k + 1) * I), e);
        const weight = rowOf(routing.weights, row)[k]!;
        rowOf(hidden, row).forEach((value, n, out) => out[n] = value + weight * y[n]!);
      });
    });
  }

  head(logits: Tensor, hidden: Tensor, norm: Norm, map: Weight): void {
    this.calls.push((step) => {
      step.outputs.forEach((row, r) => rowOf(logits, r).set(apply(map, rmsNorm(rowOf(hidden, row), norm))));
    });
  }

  candidates(out: CandidateTensors, logits: Tensor): void {
    this.calls.push((step) => {
      for (let r = 0; r < step.outputs.length; r++) {
        const row = rowOf(logits, r);
        const ids = ranked(row).slice(0, last(out.ids));
        rowOf(out.ids, r).set(ids);
        rowOf(out.logits, r).set(ids.map((id) => row[id]!));
        const largest = row[ids[0]!]!;
        data(out.logSumExp)[r] = largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
      }
    });
  }

  draw(trail: Tensor, { ids, logits, logSumExp }: CandidateTensors): void {
    this.calls.push((step, number) => {
      const R = step.outputs.length;
      const drawn = Array.from({ length: R }, (_, r) => {
        const how = step.draws?.[number]?.[r];
        const sum = data(logSumExp)[r]!;
        const token = how && rowOf(ids, r)[drawnPlace(rowOf(logits, r), sum, how)]!;
        const bits = new Uint32Array(Float32Array.from([...rowOf(logits, r), sum]).buffer);
        rowOf(trail, number * R + r).set([...rowOf(ids, r), ...bits, ...(token === undefined ? [] : [token])]);
        return token;
      });
      if (drawn.every((token) => token !== undefined)) {
        (step.rows as Uint32Array).set(drawn);
        for (const segment of step.segments) (segment as { start: number }).start++;
        for (const places of step.places ?? []) (places as { from: number }).from = places.to;
      }
    });
  }
}
