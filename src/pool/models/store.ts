/** Where models are handed out from: an object store of the broker, with a manifest for each model and its pieces as objects of their own. */
import { JetStreamApiError, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { Base64UrlPaddedCodec, type ObjectStore, Objm, setSha256Backend, StorageType } from "@nats-io/obj";
import {
  checkModelName,
  type Manifest,
  ModelStoreError,
  MOST_MANIFEST_BYTES,
  type Piece,
  readManifest,
  totalBytes,
} from "./manifest.ts";

export const MODELS_BUCKET = "ringlet_models";

/** Messages that an object is cut to, if the broker takes them. */
const MESSAGE_BYTES = 512 * 2 ** 10;

/** Most that the broker may take for one piece, there or back. */
const PIECE_MILLIS = 60_000;

/** JetStream's: another has written the subject meanwhile. */
const WRONG_LAST_SEQUENCE = 10071;

setSha256Backend("native");

/** A model as the store lists it. */
export interface StoredModel {
  readonly name: string;
  readonly bytes: number;
  readonly files: number;
  /** When, as ISO 8601 has it. */
  readonly pushed: string;
}

export class ModelStore {
  readonly #bucket: ObjectStore;
  readonly #streams: JetStreamManager["streams"];

  private constructor(bucket: ObjectStore, { streams }: JetStreamManager) {
    this.#bucket = bucket;
    this.#streams = streams;
  }

  /** @throws {ModelStoreError} if there is none, unless it is to be made */
  static async open(nats: NatsConnection, { make = false } = {}): Promise<ModelStore> {
    try {
      const stores = new Objm(nats);
      const description = "Models for stages and servers of Ringlet";
      const bucket = make
        ? await stores.create(MODELS_BUCKET, { storage: StorageType.File, description })
        : await stores.open(MODELS_BUCKET);
      return new ModelStore(bucket, await jetstreamManager(nats));
    } catch (error) {
      const why = (error as Error).message;
      if (/not found/.test(why)) {
        throw new ModelStoreError("The broker has no models: ringlet pool push puts one there");
      }
      throw new ModelStoreError(`Cannot open the broker's store of models: ${why}`);
    }
  }

  /** By name. */
  async list(): Promise<StoredModel[]> {
    const names = (await this.#bucket.list()).map(({ name }) => name).filter((name) => !name.includes("/"));
    const all = await Promise.all(names.map((name) => this.find(name).catch(() => null)));
    return all.flatMap((found) => found === null ? [] : [describe(found)])
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** @throws {ModelStoreError} if there is no such model, or its manifest is not one */
  async find(name: string): Promise<Manifest> {
    const info = await this.#bucket.info(checkModelName(name));
    if (!info || info.deleted) {
      throw new ModelStoreError(`The broker has no model ${name}: ringlet pool models lists those that it has`);
    }
    if (info.size > MOST_MANIFEST_BYTES) {
      throw new ModelStoreError(`Cannot use model ${name} of the store: its manifest has ${info.size} bytes`);
    }
    const bytes = await this.#read(name, info.size);
    if (bytes === null) throw new ModelStoreError(`Cannot use model ${name} of the store: it was changed meanwhile`);
    return readManifest(name, bytes);
  }

  /** Counts what was written under a name; 0 before that. */
  async revision(name: string): Promise<number> {
    return (await this.#bucket.info(checkModelName(name)))?.revision ?? 0;
  }

  /**
   * Makes a model appear, or appear anew.
   * @param revision That it had when its pieces were begun.
   * @throws {ModelStoreError} if it has another one now
   */
  async publish(manifest: Manifest, revision: number): Promise<void> {
    try {
      const bytes = new TextEncoder().encode(JSON.stringify(manifest));
      await this.#put(manifest.name, bytes, { previousRevision: revision });
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE)) throw error;
      throw new ModelStoreError(`Cannot push ${manifest.name}: somebody else has pushed it meanwhile; push it again`);
    }
  }

  async putPiece({ name, id }: Pick<Manifest, "name" | "id">, piece: Piece, bytes: Uint8Array): Promise<void> {
    await this.#put(objectName(name, id, piece), bytes);
  }

  /** Null if it is not there, or not of its size. */
  async getPiece(
    { name, id }: Pick<Manifest, "name" | "id">,
    piece: Piece,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#read(objectName(name, id, piece), piece.bytes, signal);
  }

  /** Objects of pieces of a model: those of one push, or those of all others. */
  async pieces(name: string, which: { readonly of: string } | { readonly butOf: string }): Promise<string[]> {
    const all = (await this.#bucket.list()).map((info) => info.name).filter((object) => object.startsWith(`${name}/`));
    const isOf = (object: string, id: string) => object.startsWith(`${name}/${id}/`);
    return all.filter((object) => "of" in which ? isOf(object, which.of) : !isOf(object, which.butOf));
  }

  async remove(objects: readonly string[]): Promise<void> {
    for (const object of objects) {
      await this.#bucket.delete(object);
      // What says that it was there, which a bucket keeps for ever.
      const filter = `$O.${MODELS_BUCKET}.M.${Base64UrlPaddedCodec.encode(object)}`;
      await this.#streams.purge(`OBJ_${MODELS_BUCKET}`, { filter });
    }
  }

  async #put(name: string, bytes: Uint8Array, options: { readonly previousRevision?: number } = {}): Promise<void> {
    await this.#bucket.put(
      { name, options: { max_chunk_size: MESSAGE_BYTES } },
      new Blob([bytes as Uint8Array<ArrayBuffer>]).stream(),
      { timeout: PIECE_MILLIS, ...options },
    );
  }

  async #read(name: string, size: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | null> {
    const found = await this.#bucket.get(name);
    if (found === null || found.info.size !== size) return null;
    found.error.catch(() => {}); // the stream tells it, too
    const bytes = new Uint8Array(size);
    let filled = 0;
    const late = AbortSignal.timeout(PIECE_MILLIS);
    const reader = found.data.getReader();
    using _ = onAbort(AbortSignal.any([late, ...signal ? [signal] : []]), () => reader.cancel().catch(() => {}));
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (filled + part.value.length > size) return null;
      bytes.set(part.value, filled);
      filled += part.value.length;
    }
    signal?.throwIfAborted();
    if (late.aborted) throw new ModelStoreError(`the broker has not sent it within ${PIECE_MILLIS / 1000} s`);
    return filled === size ? bytes : null;
  }
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener("abort", act);
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", act) };
}

function objectName(name: string, id: string, { file, index }: Piece): string {
  return `${name}/${id}/${file}/${index}`;
}

export function describe({ name, files, pushed }: Manifest): StoredModel {
  return { name, bytes: totalBytes(files), files: files.length, pushed };
}
