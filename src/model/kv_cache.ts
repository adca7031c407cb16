/** Keys and values of a stage's softmax layers, in pages: nothing that is there moves when a sequence grows. */
import { type Backend, type CacheBlock, OutOfMemoryError } from "../backend/backend.ts";
import { byteLength, ELEMENT_BYTES, type TensorShape } from "../backend/tensor.ts";
import type { KvCacheType } from "../pipeline/messages.ts";
import type { Released, Segment } from "../pipeline/steps.ts";
import { Pages } from "../pipeline/pages.ts";
import { isSoftmaxLayer, type ModelConfig } from "./config.ts";
import type { Place } from "./host_copies.ts";
import { hostHasRoom } from "./host_memory.ts";

export interface KvCacheOptions {
  readonly layers: { readonly start: number; readonly end: number };
  readonly kvCache: KvCacheType;
  readonly slots: number;
  readonly context: number;
  /** Pages at most; as many as full slots have by default. */
  readonly pages?: number;
}

/** There are no more pages for a step: its sequences cannot go on here, others that need none can. */
export class OutOfPagesError extends RangeError {
  override readonly name = "OutOfPagesError";

  /** `pages` of so many positions are all there are and will be. */
  constructor(readonly pages: number, size: number, device: string) {
    super(
      `Cannot hold more keys and values than those of ${pages * size} positions: ${device} has no room for them; ` +
        "use --kv-cache f16, a smaller --prefix-cache or fewer --max-sequences",
    );
  }
}

/**
 * Positions of a page, and the most pages of a slot: a page of 256 wastes 2 MiB at most for a sequence of Ring-mini-linear-2.0 in f16, and is
 * all that one workgroup of decode attention reads of a long one, whose share of the work to merge is 1/64. Contexts above 131,072 have
 * larger pages, so that what units give for a row takes no more memory.
 */
const PAGE = 256;
const MOST_PAGES = 512;

/** Pages of the first block; each one after it is as large as all before, up to so many bytes in all layers. */
const FIRST_PAGES = 32;
const MOST_BLOCK_BYTES = 2 ** 30;

/** Where the sequences of a step lie. */
export interface Placed {
  /** Of each segment. */
  readonly pages: readonly (readonly number[])[];
  /** How often they pass through the blocks. */
  readonly rounds: number;
}

/** The caches of all softmax layers; a page number means the same in each. */
export class KvCache {
  readonly #backend: Backend;
  readonly #shapes: (pages: number) => TensorShape[];
  readonly #layers: ReadonlyMap<number, CacheBlock[]>;
  readonly #pages: Pages;
  #mostPages: number; // as far as is known
  readonly #blockPages: number;

  /**
   * Makes the first block.
   * @throws {RangeError} if the device cannot hold one page of a layer, or has no room for the block
   */
  static async create(backend: Backend, config: ModelConfig, options: KvCacheOptions): Promise<KvCache> {
    const cache = new KvCache(backend, config, options);
    if (cache.#layers.size > 0) await cache.#allocate(Math.min(cache.#blockPages, cache.#mostPages, FIRST_PAGES));
    return cache;
  }

  private constructor(backend: Backend, config: ModelConfig, options: KvCacheOptions) {
    const { layers: { start, end }, kvCache, slots, context } = options;
    const softmax = Array.from({ length: end - start }, (_, i) => start + i).filter((i) => isSoftmaxLayer(config, i));
    const size = pageSize(context);
    const shape = [config.kvHeads, size, rowWidth(config.headDim, kvCache)];
    this.#backend = backend;
    this.#shapes = (pages) =>
      softmax.flatMap((layer) =>
        ["keys", "values"].map((what) => ({
          label: `${what} of layer ${layer}`,
          dtype: kvCache,
          shape: [pages, ...shape],
        }))
      );
    this.#layers = new Map(softmax.map((layer) => [layer, []]));
    this.#pages = new Pages(slots, size);
    this.#mostPages = options.pages ?? slots * Math.ceil(context / size);
    const page = this.#shapes(1);
    const bytes = page.length === 0 ? 1 : byteLength(page[0]!);
    this.#blockPages = Math.min(
      Math.floor(backend.pieceBytes / bytes),
      Math.max(1, Math.floor(MOST_BLOCK_BYTES / (bytes * Math.max(1, page.length)))),
    );
    if (this.#blockPages === 0) {
      const { device, pieceBytes } = backend;
      throw new RangeError(
        `Cannot hold keys of ${size} positions, ${bytes} bytes: ${device} binds at most ${pieceBytes}`,
      );
    }
  }

  /** The blocks that a layer has so far; plans that were recorded before there were so many lack the others. */
  blocks(layer: number): readonly CacheBlock[] {
    return this.#layers.get(layer)!;
  }

  /** How many of them each layer has. */
  get blockCount(): number {
    return this.#pages.blocks;
  }

  /** The most pages that a sequence can have by now. */
  get pagesOfSequence(): number {
    return Math.min(MOST_PAGES, this.#pages.count);
  }

  /**
   * Finds room for a step; a segment at position 0 begins a new sequence in its slot, one from a snapshot goes on with the pages that
   * this keeps.
   * @throws {OutOfPagesError} if there are no more pages; sequences that need none go on
   */
  async place(segments: readonly Segment[]): Promise<Placed> {
    if (this.#layers.size === 0) return { pages: segments.map(() => []), rounds: 1 };
    this.#pages.begin(segments);
    for (let missing; (missing = this.#pages.missing(segments)) > 0;) await this.#grow(missing);
    const pages = this.#pages.assign(segments);
    return { pages, rounds: this.#pages.rounds(pages) };
  }

  /** Keeps the pages of segments that end with a page and are kept as snapshots; of others the slot's own remain. */
  keep(segments: readonly Segment[]): void {
    const { size } = this.#pages;
    for (const { slot, start, rows, keep } of segments) {
      if (keep === undefined) continue;
      if ((start + rows) % size === 0) this.#pages.keep(keep, slot, (start + rows) / size);
      else this.#pages.drop(keep);
    }
  }

  /** Where a page lies on all layers; nowhere if there are none. */
  placesOf(page: number | undefined): Place[] {
    if (page === undefined) return [];
    const { block, index } = this.#pages.locate(page);
    return [...this.#layers.values()].flatMap((blocks) => {
      const { keys, values } = blocks[block]!;
      return [{ tensor: keys, index }, { tensor: values, index }];
    });
  }

  /**
   * Where the n-th page that a snapshot keeps lies.
   * @throws {RangeError} if it keeps none
   */
  placesKept(snapshot: number, n: number): Place[] {
    if (this.#layers.size === 0) return [];
    const page = this.#pages.kept(snapshot)[n];
    if (page === undefined) throw new RangeError(`Cannot copy page ${n} of snapshot ${snapshot}: it keeps none`);
    return this.placesOf(page);
  }

  /** Takes back the pages of slots and snapshots. */
  release(released: Released): void {
    this.#pages.release(released);
  }

  /** Adds a block as large as all before, or as large as there is room for: that the device has no more is asked only once. */
  async #grow(missing: number): Promise<void> {
    const { count } = this.#pages;
    const most = Math.min(this.#mostPages - count, this.#blockPages, Math.max(missing, count));
    for (let pages = most; pages > 0; pages = Math.floor(pages / 2)) {
      if (!this.#hostHasRoom(pages)) continue;
      try {
        return await this.#allocate(pages);
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
      }
    }
    this.#mostPages = count;
    throw new OutOfPagesError(count, this.#pages.size, this.#backend.device);
  }

  /** Whether so many pages leave the computer some memory, if it is that which they are in. */
  #hostHasRoom(pages: number): boolean {
    if (!this.#backend.onHost) return true;
    const bytes = this.#shapes(pages).reduce((sum, shape) => sum + byteLength(shape), 0);
    return hostHasRoom(bytes);
  }

  async #allocate(pages: number): Promise<void> {
    const tensors = await this.#backend.allocate(this.#shapes(pages));
    [...this.#layers.values()].forEach((blocks, i) =>
      blocks.push({ keys: tensors[2 * i]!, values: tensors[2 * i + 1]! })
    );
    this.#pages.addBlock(pages);
  }
}

/** Positions of a page: a power of two. */
export function pageSize(context: number): number {
  return Math.max(PAGE, 2 ** Math.ceil(Math.log2(context / MOST_PAGES)));
}

/** Elements of one head's key: kernels read 16 bytes at a time. */
function rowWidth(headDim: number, type: KvCacheType): number {
  const unit = 16 / ELEMENT_BYTES[type];
  return Math.ceil(headDim / unit) * unit;
}

/** Bytes of keys and values of so many positions in one layer. */
export function cacheBytes({ kvHeads, headDim }: ModelConfig, type: KvCacheType, positions: number): number {
  return 2 * ELEMENT_BYTES[type] * positions * kvHeads * rowWidth(headDim, type);
}
