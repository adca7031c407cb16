/** A backend without a device: tensors have names and shapes and no memory, so that only the way to them costs anything. */
import type { Backend } from "../src/backend/backend.ts";
import { byteLength, type DataType, ELEMENT_BYTES, type Tensor, type TensorShape } from "../src/backend/tensor.ts";

export class NoBackend implements Backend {
  readonly device = "no device";
  readonly maxBytes = Infinity;
  readonly pieceBytes = Infinity;
  readonly onHost = false;
  readonly gpuMillis = null;
  readonly decodeRows = Infinity;
  bytes = 0;

  tensor(label: string, dtype: DataType, shape: readonly number[]): Tensor {
    const tensor = { label, dtype, shape };
    this.bytes += byteLength(tensor);
    return tensor;
  }

  allocate(wanted: readonly TensorShape[]): Promise<Tensor[]> {
    return Promise.resolve(wanted.map(({ label, dtype, shape }) => this.tensor(label, dtype, shape)));
  }

  /** Forgets it. */
  write(tensor: Tensor, offset: number, bytes: Uint8Array): Promise<void> {
    if (offset * ELEMENT_BYTES[tensor.dtype] + bytes.length > byteLength(tensor)) {
      throw new RangeError(`Cannot write beyond the end of ${tensor.label}`);
    }
    return Promise.resolve();
  }

  fill = refuse;
  record = refuse;
  run = refuse;
  copy = refuse;
  read = refuse;
  gather = refuse;

  [Symbol.dispose](): void {}
}

function refuse(): never {
  throw new TypeError("Cannot compute without a device");
}
