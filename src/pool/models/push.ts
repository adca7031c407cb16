/** Puts a model's files into the store: piece by piece, and at last the manifest, with which it is there. */
import { join } from "node:path";
import {
  checkModelName,
  type Extract,
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
  /** Where the files are. */
  readonly folder: string;
  readonly files: readonly PushedFile[];
  /** 32 MiB if left out. */
  readonly pieceBytes?: number;
  /** Hears the bytes that are in the store, and those in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface PushedFile {
  readonly name: string;
  /** Bytes `[start, end)` that whoever takes a part of it needs; if left out, it is taken as a whole only. */
  readonly extracts?: readonly { readonly start: number; readonly end: number }[];
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
  const { name, id, folder, pieceBytes = PIECE_BYTES, onProgress, signal } = options;
  const files = await Promise.all(options.files.map((file) => withSize(folder, file)));
  const total = totalBytes(files);
  const stored: ModelFile[] = [];
  let done = 0;
  for (const { name: fileName, bytes, extracts } of files) {
    const file = { name: fileName, bytes };
    using opened = await Deno.open(join(folder, fileName));
    const pieces: string[] = [];
    for (const piece of piecesOf(file, pieceBytes)) {
      signal?.throwIfAborted();
      const content = await readFull(opened, fileName, piece.bytes);
      pieces.push(await sha256(content));
      await store.putPiece({ name, id }, piece, content);
      onProgress?.(done += piece.bytes, total);
    }
    stored.push({ ...file, pieces, ...(extracts && { extracts: await readExtracts(opened, fileName, extracts) }) });
  }
  return { format: 1, name, id, pushed: new Date().toISOString(), pieceBytes, files: stored };
}

async function withSize(folder: string, file: PushedFile): Promise<PushedFile & { readonly bytes: number }> {
  const { name } = file;
  if (!isFileName(name)) throw new ModelStoreError(`Cannot push ${JSON.stringify(name)}: it is no plain file name`);
  return { ...file, bytes: (await Deno.stat(join(folder, name))).size };
}

async function readExtracts(
  file: Deno.FsFile,
  name: string,
  ranges: NonNullable<PushedFile["extracts"]>,
): Promise<Extract[]> {
  const extracts: Extract[] = [];
  for (const { start, end } of ranges) {
    await file.seek(start, Deno.SeekMode.Start);
    extracts.push({ start, content: (await readFull(file, name, end - start)).toBase64() });
  }
  return extracts;
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
