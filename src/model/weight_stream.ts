/** Streams weights from files to a device: in the order of the files, and while one slice is written the next is read. */
import type { Backend } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import { WrittenSamples } from "./written_samples.ts";

/** Some of a matrix's rows. */
export interface Rows {
  readonly firstRow: number;
  readonly rows: number;
}

/** All of `total` rows, at most `most` at once. */
export function* rowRanges(total: number, most: number): Generator<Rows> {
  for (let firstRow = 0; firstRow < total; firstRow += most) yield { firstRow, rows: Math.min(most, total - firstRow) };
}

/** Bytes of a tensor, from the element `offset` on. */
export interface Piece {
  readonly tensor: Tensor;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** They are there already. */
  readonly inPlace?: boolean;
}

/** A slice of a file that becomes pieces of tensors. */
export interface Transfer {
  /** The file, and where in it. */
  readonly shard: string;
  readonly begin: number;
  /** Of the checkpoint, for who watches. */
  readonly bytes: number;
  /** Pieces may lie in `buffer`, which is this transfer's own until they are written. */
  readonly read: (buffer: Uint8Array<ArrayBuffer>) => Promise<readonly Piece[]>;
}

/** Bytes read at once. More was no faster; two such buffers are all the memory that stored values need on their way. */
export const SLICE_BYTES = 8 * 2 ** 20;

export class WeightStream {
  readonly #backend: Backend;
  readonly #onBytes: (loaded: number) => void;
  readonly #transfers: Transfer[] = [];
  readonly #samples = new WrittenSamples();

  /** `onBytes` hears the bytes loaded so far. */
  constructor(backend: Backend, onBytes: (loaded: number) => void) {
    this.#backend = backend;
    this.#onBytes = onBytes;
  }

  add(transfer: Transfer): void {
    this.#transfers.push(transfer);
  }

  /** Carries out all transfers. */
  async run(): Promise<void> {
    const transfers = this.#transfers.splice(0).sort(byPlace);
    const total = transfers.reduce((sum, { bytes }) => sum + bytes, 0);
    const buffers = [new Uint8Array(SLICE_BYTES), new Uint8Array(SLICE_BYTES)] as const;
    const begin = (i: number) => startToRead(transfers[i], buffers[i % 2]!);
    let loaded = 0;
    let next = begin(0);
    for (const [i, { bytes }] of transfers.entries()) {
      const pieces = await next!;
      next = begin(i + 1);
      for (const { tensor, offset, bytes, inPlace } of pieces) {
        if (!inPlace) await this.#backend.write(tensor, offset, bytes);
      }
      this.#samples.offer(pieces, loaded / total, i === transfers.length - 1);
      this.#onBytes(Math.round(loaded += bytes));
    }
  }

  /** Reads samples of what was written back. Throws Error for the first that differs. */
  async verify(): Promise<void> {
    await this.#samples.compare(this.#backend);
  }
}

/** Whoever awaits it later hears of its failure; until then nobody does. */
function startToRead(
  transfer: Transfer | undefined,
  buffer: Uint8Array<ArrayBuffer>,
): Promise<readonly Piece[]> | undefined {
  const pieces = transfer?.read(buffer);
  pieces?.catch(() => {});
  return pieces;
}

function byPlace(a: Transfer, b: Transfer): number {
  return a.shard === b.shard ? a.begin - b.begin : a.shard < b.shard ? -1 : 1;
}
