/** Writes safetensors shards: the header first, then tensors in any order and in pieces. */

/** A tensor to be written, row-major. */
export interface TensorPlan {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** Tensors that belong together. */
export interface Unit {
  readonly plans: readonly TensorPlan[];
}

export interface ShardPlan<U extends Unit> {
  /** File name. */
  readonly shard: string;
  readonly units: readonly U[];
}

/** Headers are padded to whole multiples of this, so that data is aligned for those who map files. */
const ALIGNMENT = 8;

/** Bytes of the data of some units. */
export function unitBytes(units: readonly Unit[]): number {
  return units.reduce((sum, { plans }) => plans.reduce((part, { bytes }) => part + bytes, sum), 0);
}

/** Shares units out to shards of at most `limit` bytes of data each; a larger unit has one to itself. */
export function planShards<U extends Unit>(units: readonly U[], limit: number): ShardPlan<U>[] {
  const shards: U[][] = [];
  let room = 0;
  for (const unit of units) {
    const bytes = unitBytes([unit]);
    if (bytes > room) {
      shards.push([]);
      room = limit;
    }
    shards.at(-1)!.push(unit);
    room -= bytes;
  }
  const number = (i: number) => String(i).padStart(5, "0");
  return shards.map((units, i) => ({ shard: `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`, units }));
}

/** The JSON of the index of these shards. */
export function indexOf(shards: readonly ShardPlan<Unit>[]): string {
  const names = shards.flatMap(({ shard, units }) =>
    units.flatMap(({ plans }) => plans.map(({ name }) => [name, shard]))
  );
  const metadata = { total_size: unitBytes(shards.flatMap(({ units }) => units)) };
  return `${JSON.stringify({ metadata, weight_map: Object.fromEntries(names) }, null, 2)}\n`;
}

/** One shard that is being written. */
export class ShardWriter implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #begins: ReadonlyMap<string, number>;

  private constructor(file: Deno.FsFile, begins: ReadonlyMap<string, number>) {
    this.#file = file;
    this.#begins = begins;
  }

  /** Creates `folder/shard` with its header; what is never written is zeros. */
  static async create(folder: string, { shard, units }: ShardPlan<Unit>): Promise<ShardWriter> {
    const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
    const begins = new Map<string, number>();
    let end = 0;
    for (const { name, dtype, shape, bytes } of units.flatMap(({ plans }) => plans)) {
      begins.set(name, end);
      header[name] = { dtype, shape, data_offsets: [end, end += bytes] };
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const padded = new Uint8Array(Math.ceil(text.length / ALIGNMENT) * ALIGNMENT).fill(0x20);
    padded.set(text);
    const length = new Uint8Array(new BigUint64Array([BigInt(padded.length)]).buffer);
    const base = length.length + padded.length;
    const file = await Deno.open(`${folder}/${shard}`, { write: true, createNew: true });
    const writer = new ShardWriter(file, new Map(begins.entries().map(([name, begin]) => [name, base + begin])));
    await writeAll(file, 0, length);
    await writeAll(file, length.length, padded);
    await file.truncate(base + end);
    return writer;
  }

  /** Writes a piece of a tensor, from its byte `offset` on. */
  async write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    await writeAll(this.#file, this.#begins.get(name)! + offset, bytes);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

async function writeAll(file: Deno.FsFile, offset: number, bytes: Uint8Array): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}
