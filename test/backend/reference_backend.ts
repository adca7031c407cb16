/** The operations as plain float64 loops: what every kernel is compared with. Slow, obvious, and nothing else. */
import type {
  Backend,
  CacheBlock,
  CandidateTensors,
  Capacity,
  Heads,
  LinearAttention,
  Norm,
  Ops,
  Plan,
  Read,
  Router,
  Routing,
  SharedDown,
  SharedGateUp,
  StepInput,
} from "../../src/backend/backend.ts";
import { type DataType, elements, type Tensor, type TensorShape, type Weight } from "../../src/backend/tensor.ts";
import type { Draw } from "../../src/pipeline/messages.ts";

class ReferenceTensor implements Tensor {
  readonly data: Float64Array;
  constructor(readonly label: string, readonly dtype: DataType, readonly shape: readonly number[]) {
    this.data = new Float64Array(elements(shape));
  }
}

/** `number`: how many further steps were before. */
type Call = (step: StepInput, number: number) => void;

interface ReferencePlan extends Plan {
  readonly calls: readonly Call[];
}

const data = (tensor: Tensor): Float64Array => (tensor as ReferenceTensor).data;
const last = (tensor: Tensor): number => tensor.shape.at(-1)!;
/** The nearest float16, the largest finite ones at most. */
const half = (x: number): number => Math.f16round(Math.min(65504, Math.max(-65504, x)));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);

/** Every row of a step with where it belongs. */
function* rowsOf(
  step: StepInput,
): Generator<{ row: number; segment: number; slot: number; position: number; begins: boolean }> {
  let row = 0;
  for (const [segment, { slot, start, rows }] of step.segments.entries()) {
    for (let i = 0; i < rows; i++) yield { row: row++, segment, slot, position: start + i, begins: start + i === 0 };
  }
}

const rowCount = (step: StepInput): number => step.segments.reduce((sum, segment) => sum + segment.rows, 0);

/** W[matrix][n][k] with its block's factor, and its minimum where there is one. */
function weightAt(weight: Weight, matrix: number, n: number, k: number): number {
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  const code = data(weight.values)[(matrix * N + n) * K + k]!;
  if (weight.scales === null) return code;
  const [rows, columns] = weight.scales.block;
  const blocks = [Math.ceil(N / rows), Math.ceil(K / columns)] as const;
  const block = (matrix * blocks[0] + Math.floor(n / rows)) * blocks[1] + Math.floor(k / columns);
  const factors = data(weight.scales.factors);
  return weight.values.dtype === "q4" ? code * factors[2 * block]! + factors[2 * block + 1]! : code * factors[block]!;
}

/** x @ W[matrix]^T for one row. */
function apply(weight: Weight, x: Float64Array, matrix = 0): Float64Array {
  const [N, K] = weight.values.shape.slice(-2) as [number, number];
  return Float64Array.from({ length: N }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += x[k]! * weightAt(weight, matrix, n, k);
    return sum;
  });
}

function normalized(x: Float64Array, eps: number): Float64Array {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value) => value / Math.sqrt(meanSquare + eps));
}

function rmsNorm(x: Float64Array, norm: Norm): Float64Array {
  return normalized(x, norm.eps).map((value, i) => value * data(norm.weight)[i]!);
}

const rowOf = (tensor: Tensor, row: number): Float64Array =>
  data(tensor).subarray(row * last(tensor), (row + 1) * last(tensor));

/** q, k and v of one row after norm and rotation, in place. */
function prepare(
  qkv: Tensor,
  row: number,
  position: number,
  how: Heads,
): { q: Float64Array[]; k: Float64Array[]; v: Float64Array[] } {
  const { heads, kvHeads, headDim } = how;
  const all = rowOf(qkv, row);
  if (how.silu) all.forEach((value, i) => all[i] = silu(value));
  const head = (index: number) => all.slice(index * headDim, (index + 1) * headDim);
  const turned = (x: Float64Array, norm: Norm | null) =>
    rotate(norm === null ? x : rmsNorm(x, norm), position, how.rope);
  return {
    q: Array.from({ length: heads }, (_, h) => turned(head(h), how.queryNorm)),
    k: Array.from({ length: kvHeads }, (_, h) => turned(head(heads + h), how.keyNorm)),
    v: Array.from({ length: kvHeads }, (_, h) => head(heads + kvHeads + h)),
  };
}

function rotate(x: Float64Array, position: number, rope: Tensor | null): Float64Array {
  if (rope === null) return x;
  const half = last(rope);
  const table = data(rope).subarray(position * 2 * half, (position + 1) * 2 * half);
  const y = x.slice();
  for (let j = 0; j < half; j++) {
    const [cos, sin] = [table[j]!, table[half + j]!];
    y[j] = x[j]! * cos - x[j + half]! * sin;
    y[j + half] = x[j + half]! * cos + x[j]! * sin;
  }
  return y;
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Indices by falling value, ties to the lower index. */
function ranked(values: Float64Array): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
}

function scores(logits: Float64Array, kind: Router["score"]): Float64Array {
  if (kind === "sigmoid") return logits.map(sigmoid);
  const largest = logits.reduce((most, x) => Math.max(most, x), -Infinity);
  const exps = logits.map((x) => Math.exp(x - largest));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
}

/** Spec c.9. */
function choose(logits: Float64Array, how: Router): { ids: number[]; weights: number[] } {
  const score = scores(logits, how.score);
  const select = score.map((value, e) => value + (how.bias === null ? 0 : data(how.bias)[e]!));
  const size = select.length / how.groups;
  const marks = Float64Array.from({ length: how.groups }, (_, g) => {
    const best = select.slice(g * size, (g + 1) * size).sort().reverse();
    return best[0]! + (best[1] ?? 0);
  });
  const kept = new Set(ranked(marks).slice(0, how.groups > 1 ? how.groupsKept : 1));
  const masked = select.map((value, e) => kept.has(Math.floor(e / size)) ? value : -Infinity);
  const ids = ranked(masked).slice(0, how.perToken);
  const sum = ids.reduce((total, e) => total + score[e]!, 0);
  const divisor = how.normalize && how.perToken > 1 ? sum + 1e-20 : 1;
  return { ids, weights: ids.map((e) => score[e]! / divisor * how.scale) };
}

class Recorder implements Ops {
  readonly calls: Call[] = [];

  #each(call: (row: number) => void): void {
    this.calls.push((step) => {
      for (let row = 0; row < rowCount(step); row++) call(row);
    });
  }

  embed(hidden: Tensor, table: Weight): void {
    this.calls.push((step) => {
      step.rows.forEach((token, row) => {
        rowOf(hidden, row).forEach((_, k, out) => out[k] = weightAt(table, 0, token, k));
      });
    });
  }

  receive(hidden: Tensor): void {
    this.calls.push((step) => data(hidden).set(step.rows));
  }

  project(outs: readonly Tensor[], hidden: Tensor, norm: Norm, maps: Parameters<Ops["project"]>[3]): void {
    this.#each((row) => {
      const x = rmsNorm(rowOf(hidden, row), norm);
      maps.forEach(({ weight, bias }, i) => {
        rowOf(outs[i]!, row).set(apply(weight, x).map((y, n) => y + (bias === null ? 0 : data(bias)[n]!)));
      });
    });
  }

  projectAdd(hidden: Tensor, x: Tensor, { weight, bias }: Parameters<Ops["projectAdd"]>[2]): void {
    this.#each((row) => {
      const y = apply(weight, rowOf(x, row));
      rowOf(hidden, row).forEach((value, n, out) => out[n] = value + y[n]! + (bias === null ? 0 : data(bias)[n]!));
    });
  }

  linearAttention(out: Tensor, qkv: Tensor, gate: Tensor, state: Tensor, how: LinearAttention): void {
    const { heads, headDim: D } = how;
    this.calls.push((step) => {
      for (const { row, slot, position, begins } of rowsOf(step)) {
        const { q, k, v } = prepare(qkv, row, position, how);
        const mixed = new Float64Array(heads * D);
        for (let h = 0; h < heads; h++) {
          const S = data(state).subarray((slot * heads + h) * D * D, (slot * heads + h + 1) * D * D);
          const decay = begins ? 0 : Math.exp(how.logDecay[h]!);
          for (let a = 0; a < D; a++) {
            for (let b = 0; b < D; b++) {
              S[a * D + b] = (decay === 0 ? 0 : decay * S[a * D + b]!) + k[h]![a]! * v[h]![b]!;
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
          probs.forEach((p, at_) => target.forEach((_, d) => target[d]! += p * at("values", at_, g)[d]!));
        }
      }
    });
  }

  gateUp(out: Tensor, hidden: Tensor, norm: Norm, gate: Weight, up: Weight): void {
    this.#each((row) => {
      const x = rmsNorm(rowOf(hidden, row), norm);
      const [a, b] = [apply(gate, x), apply(up, x)];
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
        const [a, b] = [apply(gate, x, e), apply(up, x, e)];
        data(out).set(a.map((value, i) => silu(value) * b[i]!), (row * K + k) * I);
      });
    });
  }

  expertsDownAdd(hidden: Tensor, x: Tensor, routing: Routing, down: Weight, shared: SharedDown | null = null): void {
    if (shared !== null) this.projectAdd(hidden, shared.x, { weight: shared.down, bias: null });
    const [, K, I] = x.shape as [number, number, number];
    this.#each((row) => {
      rowOf(routing.ids, row).forEach((e, k) => {
        const y = apply(down, data(x).subarray((row * K + k) * I, (row * K + k + 1) * I), e);
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
      }
    });
  }
}

/** Goes through the candidates once for each of what a draw keeps. */
function drawnPlace(logits: Float64Array, logSumExp: number, { temperature, topK, topP, minP, u }: Draw): number {
  const weights = Array.from(logits, (logit) => Math.exp((logit - logits[0]!) / temperature)).slice(0, topK);
  const total = (list: readonly number[]) => list.reduce((sum, weight) => sum + weight, 0);
  /** Candidates until the mass is reached, and whether it is. */
  const until = (mass: number): [place: number, reached: boolean] => {
    for (let [i, sum] = [0, 0]; i < weights.length; i++) if ((sum += weights[i]!) >= mass) return [i, true];
    return [weights.length - 1, false];
  };
  let kept = total(weights);
  if (topK > logits.length) {
    const others = Math.exp(logSumExp) - logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    kept += weights.at(-1)! * Math.min(others / Math.exp(logits.at(-1)!), topK - logits.length);
  }
  if (topP < 1) {
    const [place, reached] = until(topP * kept);
    kept = reached ? total(weights.slice(0, place + 1)) : topP * kept;
  }
  const likely = weights.filter((weight) => weight >= minP);
  if (likely.length < weights.length) kept = Math.min(kept, total(likely));
  return until(u * kept)[0];
}

const E4M3 = (code: number): number => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
};

/** `bytes` as numbers; the buffer may start anywhere. */
export function decode(dtype: DataType, bytes: Uint8Array): ArrayLike<number> {
  const { buffer } = bytes.slice();
  if (dtype === "f32") return new Float32Array(buffer);
  if (dtype === "u32") return new Uint32Array(buffer);
  if (dtype === "f16") return new Float16Array(buffer);
  if (dtype === "f8_e4m3") return Array.from(bytes, E4M3);
  if (dtype === "q8") return new Int8Array(buffer);
  if (dtype === "q4") return Array.from(bytes).flatMap((pair) => [pair & 15, pair >> 4]);
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (code) => code << 16).buffer);
}

/** The reference as a backend, so that the model runs on it too. */
export class ReferenceBackend implements Backend {
  readonly device = "float64 loops";
  bytes = 0;
  readonly maxBytes = Infinity;
  readonly onHost = true;
  readonly gpuMillis = null;
  readonly pieceBytes = Infinity;

  tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor {
    const tensor = new ReferenceTensor(label, dtype, shape);
    this.bytes += tensor.data.byteLength;
    return tensor;
  }

  allocate(wanted: readonly TensorShape[]): Promise<Tensor[]> {
    return Promise.resolve(wanted.map(({ label, dtype, shape }) => this.tensor(label, dtype, shape)));
  }

  write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    data(tensor).set(decode(tensor.dtype, bytes), offset);
    return Promise.resolve();
  }

  fill(): Promise<void> {
    return Promise.reject(new Error("Cannot fill: cases bring their own values"));
  }

  record(capacity: Capacity, build: (ops: Ops) => void): Plan {
    const recorder = new Recorder();
    build(recorder);
    const plan: ReferencePlan = { capacity, calls: recorder.calls };
    return plan;
  }

  run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    const own = structuredClone(step);
    for (let i = 0; i <= (step.draws?.length ?? 0); i++) {
      for (const call of (plan as ReferencePlan).calls) call(own, i);
    }
    return this.read(reads);
  }

  read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    return Promise.resolve(reads.map(({ tensor, from = 0, elements }) => {
      const part = data(tensor).subarray(from, from + elements);
      return tensor.dtype === "u32" ? Uint32Array.from(part).buffer : Float32Array.from(part).buffer;
    }));
  }

  [Symbol.dispose](): void {}
}
