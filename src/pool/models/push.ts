/** Puts a model's files into the store: piece by piece, and at last the manifest, with which it is there. */
import { join } from "node:path";
import {
  checkModelName,
  isFileName,
  type Manifest,
  type ModelFile,
  ModelStoreError,
  PIECE_BYTES,
  piecesOf,
  sha256,
  totalBytes,
} from "./manifest.ts";
import { describe, type ModelStore, type StoredModel } from "./store.ts";

export interface PushOptions {
  readonly name: string;
  /** Where the files are, and their names. */
  readonly folder: string;
  readonly files: readonly string[];
  /** 32 MiB if left out. */
  readonly pieceBytes?: number;
  /** Hears the bytes that are in the store, and those in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Whoever takes the model while it is replaced has the one before, or is told. If it fails, nothing of it is left and the one before stays.
 * @throws {ModelStoreError} if a file cannot be handed out, or somebody else pushes the same model
 */
export async function pushModel(store: ModelStore, options: PushOptions): Promise<StoredModel> {
  const name = checkModelName(options.name);
  const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
  try {
    const revision = await store.revision(name);
    const manifest = await putFiles(store, { ...options, name, id });
    // Who began after this one appears is not among them; who began before cannot publish any more.
    const stale = await store.pieces(name, { butOf: id });
    await store.publish(manifest, revision);
    await store.remove(stale);
    return describe(manifest);
  } catch (error) {
    await store.pieces(name, { of: id }).then((pieces) => store.remove(pieces)).catch(() => {});
    throw error;
  }
}

async function putFiles(store: ModelStore, options: PushOptions & { readonly id: string }): Promise<Manifest> {
  const { name, id, folder, files, pieceBytes = PIECE_BYTES, onProgress, signal } = options;
  const sizes = await Promise.all(files.map((file) => sizeOf(folder, file)));
  const total = totalBytes(sizes);
  const stored: ModelFile[] = [];
  let done = 0;
  for (const file of sizes) {
    using opened = await Deno.open(join(folder, file.name));
    const pieces: string[] = [];
    for (const piece of piecesOf(file, pieceBytes)) {
      signal?.throwIfAborted();
      const bytes = await readFull(opened, file.name, piece.bytes);
      pieces.push(await sha256(bytes));
      await store.putPiece({ name, id }, piece, bytes);
      onProgress?.(done += piece.bytes, total);
    }
    stored.push({ ...file, pieces });
  }
  return { format: 1, name, id, pushed: new Date().toISOString(), pieceBytes, files: stored };
}

async function sizeOf(folder: string, name: string): Promise<{ readonly name: string; readonly bytes: number }> {
  if (!isFileName(name)) throw new ModelStoreError(`Cannot push ${JSON.stringify(name)}: it is no plain file name`);
  return { name, bytes: (await Deno.stat(join(folder, name))).size };
}

async function readFull(file: Deno.FsFile, name: string, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) throw new ModelStoreError(`Cannot push ${name}: it was cut while it was read`);
    filled += count;
  }
  return bytes;
}
