/** A checkpoint: the tensors of one or of several safetensors files in a folder, read by rows. */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import { vendorTensors } from "./mlx_names.ts";
import { readHeader, type TensorEntry } from "./safetensors_header.ts";
import { openFile, type Source } from "./source.ts";

export type { TensorEntry };

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

/** Ring-flash's index has 2.2 MB; bounds what a hostile one can make us parse. */
const MAX_INDEX_BYTES = 100_000_000;

/** A plain file name, so that an index cannot reach outside its folder. */
const SHARD_NAME = /^[\w.-]{1,200}\.safetensors$/;

/** All tensors of a model's folder. Holds its shards open until disposed, and none of their data. */
export class Checkpoint implements Disposable {
  /** The folder, for messages. */
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Bytes of all tensors. */
  readonly bytes: number;
  readonly #shards: ReadonlyMap<string, Source>;

  /** For {@linkcode openCheckpoint}; owns the shards from here on. */
  constructor(folder: string, tensors: ReadonlyMap<string, TensorEntry>, shards: ReadonlyMap<string, Source>) {
    this.folder = folder;
    this.tensors = tensors;
    this.bytes = tensors.values().reduce((sum, { begin, end }) => sum + end - begin, 0);
    this.#shards = shards;
  }

  /** Names of the files that hold the tensors. */
  get shards(): string[] {
    return [...this.#shards.keys()];
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** @throws {CheckpointError} if there is no tensor of that name */
  entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (!entry) throw new CheckpointError(`Cannot find tensor ${quoted(name)} in ${this.folder}`);
    return entry;
  }

  /**
   * The stored bytes of `rows` rows from `firstRow` on, along the first dimension (a scalar is one row), in a buffer of
   * their own, or at the start of `into` if they fit.
   * @throws {CheckpointError} if there is no tensor of that name, or its file was cut meanwhile
   * @throws {RangeError} if the tensor has no such rows
   */
  async read(
    name: string,
    firstRow = 0,
    rows?: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { shape, shard, begin, end } = this.entry(name);
    const total = shape[0] ?? 1;
    const count = rows ?? total - firstRow;
    if (!(Number.isInteger(firstRow) && Number.isInteger(count) && firstRow >= 0 && count >= 0)) {
      throw new RangeError(`Cannot read ${count} rows from ${firstRow} of ${quoted(name)}: both must be whole numbers`);
    }
    if (firstRow + count > total) {
      throw new RangeError(`Cannot read ${count} rows from ${firstRow} of ${quoted(name)}: it has ${total} rows`);
    }
    const rowBytes = total === 0 ? 0 : (end - begin) / total;
    return await this.#shards.get(shard)!.read(begin + firstRow * rowBytes, count * rowBytes, into);
  }

  [Symbol.dispose](): void {
    for (const source of this.#shards.values()) source[Symbol.dispose]();
  }
}

/**
 * Opens `model.safetensors`, or else the shards that `model.safetensors.index.json` lists, and checks every header.
 * @throws {CheckpointError} naming the file and the tensor that are missing or damaged
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const weightMap = await fileExists(folder, SINGLE_FILE) ? null : await readIndex(folder);
  const shards = new Map<string, Source>();
  const tensors = new Map<string, TensorEntry>();
  const stored = new Map<string, string>();
  using opened = new DisposableStack();
  for (const shard of new Set(weightMap?.values() ?? [SINGLE_FILE])) {
    const source = opened.use(await openShard(folder, shard));
    shards.set(shard, source);
    const entries = await readHeader(source, shard);
    for (const { name } of entries) stored.set(name, shard);
    for (const entry of entries.values().flatMap(vendorTensors)) addTensor(folder, tensors, entry);
  }
  for (const [name, shard] of weightMap ?? []) {
    if (stored.get(name) === shard) continue;
    refuse(folder, `the index puts tensor ${quoted(name)} in ${quoted(shard)}, which does not hold it`);
  }
  opened.move(); // from here on the checkpoint closes them
  return new Checkpoint(folder, tensors, shards);
}

function refuse(folder: string, why: string): never {
  throw new CheckpointError(`Cannot open ${folder} as a checkpoint: ${why}`);
}

function addTensor(folder: string, tensors: Map<string, TensorEntry>, entry: TensorEntry): void {
  const other = tensors.get(entry.name);
  if (other) {
    refuse(folder, `tensor ${quoted(entry.name)} is in both ${quoted(other.shard)} and ${quoted(entry.shard)}`);
  }
  tensors.set(entry.name, entry);
}

async function fileExists(folder: string, file: string): Promise<boolean> {
  try {
    return (await Deno.stat(`${folder}/${file}`)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

async function openShard(folder: string, shard: string): Promise<Source> {
  try {
    return await openFile(`${folder}/${shard}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    refuse(folder, `its index names ${quoted(shard)}, which is not there; the download may be incomplete`);
  }
}

/** Tensor name → shard, in the index's order. */
async function readIndex(folder: string): Promise<ReadonlyMap<string, string>> {
  if (!await fileExists(folder, INDEX_FILE)) {
    const there = await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false);
    refuse(folder, there ? `it holds neither ${SINGLE_FILE} nor ${INDEX_FILE}` : "there is no such folder");
  }
  using source = await openFile(`${folder}/${INDEX_FILE}`);
  if (source.size > MAX_INDEX_BYTES) {
    refuse(folder, `${INDEX_FILE} has ${source.size} bytes; at most ${MAX_INDEX_BYTES} are read`);
  }
  const weightMap = parseWeightMap(folder, new TextDecoder().decode(await source.read(0, source.size)));
  if (weightMap.size === 0) refuse(folder, `${INDEX_FILE} lists no tensor`);
  return weightMap;
}

function parseWeightMap(folder: string, text: string): Map<string, string> {
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch {
    refuse(folder, `${INDEX_FILE} is not JSON`);
  }
  const weightMap = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof weightMap !== "object" || weightMap === null || Array.isArray(weightMap)) {
    refuse(folder, `${INDEX_FILE} has no object "weight_map"`);
  }
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !SHARD_NAME.test(shard)) {
      refuse(folder, `the index puts tensor ${quoted(name)} in ${shown(shard)}, not a file NAME.safetensors`);
    }
  }
  return new Map(Object.entries(weightMap));
}
