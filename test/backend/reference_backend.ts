/** The reference as a backend: what every other is compared with. */
import {
  type Backend,
  type Capacity,
  type Ops,
  type Plan,
  type Read,
  type StepInput,
  stepsOf,
} from "../../src/backend/backend.ts";
import type { DataType, Tensor, TensorShape } from "../../src/backend/tensor.ts";
import { type Call, ReferenceRecorder } from "./reference_ops.ts";
import { type apply, data, decode, ReferenceTensor } from "./reference_tensor.ts";

interface ReferencePlan extends Plan {
  readonly calls: readonly Call[];
}

/** Float64 loops; the model runs on it too. */
export class ReferenceBackend implements Backend {
  readonly #product: typeof apply | undefined;

  /** `product` in place of the exact one, for devices that round what they multiply. */
  constructor(product?: typeof apply) {
    this.#product = product;
  }

  readonly device = "float64 loops";
  bytes = 0;
  readonly maxBytes = Infinity;
  readonly onHost = true;
  readonly gpuMillis = null;
  readonly decodeRows = Infinity;
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
    const recorder = new ReferenceRecorder(this.#product);
    build(recorder);
    const plan: ReferencePlan = { capacity, calls: recorder.calls };
    return plan;
  }

  run(plan: Plan, step: StepInput, reads: readonly Read[]): Promise<ArrayBuffer[]> {
    const own = structuredClone(step);
    for (let i = 0; i < stepsOf(step); i++) {
      for (const call of (plan as ReferencePlan).calls) call(own, i);
    }
    return this.read(reads);
  }

  copy(from: Tensor, to: Tensor, elements: number): Promise<void> {
    data(to).set(data(from).subarray(0, elements));
    return Promise.resolve();
  }

  read(reads: readonly Read[]): Promise<ArrayBuffer[]> {
    return Promise.resolve(reads.map(({ tensor, from = 0, elements }) => {
      const part = data(tensor).subarray(from, from + elements);
      return tensor.dtype === "u32" ? Uint32Array.from(part).buffer : Float32Array.from(part).buffer;
    }));
  }

  async gather(reads: readonly Read[]): Promise<ArrayBuffer> {
    return await new Blob(await this.read(reads)).arrayBuffer();
  }

  [Symbol.dispose](): void {}
}
