/** Takes a model out of the store into a folder of the user's cache, where it appears when all of it is there. */
import { join } from "node:path";
import {
  type Manifest,
  type ModelFile,
  ModelStoreError,
  type Piece,
  piecesOf,
  sha256,
  totalBytes,
} from "./manifest.ts";
import type { ModelStore } from "./store.ts";

export interface FetchOptions {
  readonly name: string;
  /** Of all fetched models. */
  readonly cache: string;
  /** Hears the bytes that are there, those from before among them, and those in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** How often a piece is asked for: the broker may start again meanwhile. */
const ATTEMPTS = 3;
/** Between two looks whether another process is done with the same model. */
const LOOK_MILLIS = 200;

/**
 * The folder of the model as it is in the store now. What was there from before is taken if its hashes are right, so that a fetch that was
 * interrupted goes on. Several processes may want it at once: one fetches, the others wait for it.
 * @throws {ModelStoreError} if there is no such model, or a piece is not what its hash says
 */
export async function fetchModel(store: ModelStore, options: FetchOptions): Promise<string> {
  const { name, cache, signal } = options;
  const { manifest, hash } = await store.find(name);
  const above = join(cache, hash.slice(0, 16));
  const folder = join(above, name);
  if (await isWhole(folder, manifest)) return folder;
  await Deno.mkdir(above, { recursive: true });
  using _lock = await locked(join(above, "lock"), signal);
  if (await isWhole(folder, manifest)) return folder;
  const unfinished = join(above, "unfinished");
  await Deno.rename(folder, unfinished).catch(ignoreMissing); // somebody has taken a file out of it
  await Deno.mkdir(unfinished, { recursive: true });
  await fetchFiles(store, manifest, unfinished, options);
  await Deno.rename(unfinished, folder);
  return folder;
}

/** By the sizes of its files: to read all of them would take as long as to load the model. */
async function isWhole(folder: string, { files }: Manifest): Promise<boolean> {
  const sizes = await Promise.all(files.map(({ name }) => sizeOf(join(folder, name))));
  return sizes.every((size, i) => size === files[i]!.bytes);
}

async function sizeOf(path: string): Promise<number | null> {
  return await Deno.stat(path).then(({ isFile, size }) => isFile ? size : null, () => null);
}

/** Of one process at a time; the system takes it back from one that ends. */
async function locked(path: string, signal?: AbortSignal): Promise<Disposable> {
  using opened = new DisposableStack();
  const file = opened.use(await Deno.open(path, { create: true, write: true }));
  while (!await file.tryLock(true)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS));
    signal?.throwIfAborted();
  }
  return opened.move();
}

async function fetchFiles(
  store: ModelStore,
  manifest: Manifest,
  folder: string,
  { onProgress, signal }: FetchOptions,
): Promise<void> {
  const total = totalBytes(manifest.files);
  let done = 0;
  for (const file of manifest.files) {
    const path = join(folder, file.name);
    const begun = await sizeOf(path) !== null;
    using opened = await Deno.open(path, { create: true, read: true, write: true });
    await opened.truncate(file.bytes);
    for (const piece of piecesOf(file, manifest.pieceBytes)) {
      signal?.throwIfAborted();
      if (!(begun && await isThere(opened, file, piece))) {
        await write(opened, piece.start, await fetchPiece(store, manifest, file, piece, signal));
      }
      onProgress?.(done += piece.bytes, total);
    }
    await opened.syncData();
  }
}

async function isThere(file: Deno.FsFile, { pieces }: ModelFile, { index, start, bytes }: Piece): Promise<boolean> {
  const found = new Uint8Array(bytes);
  await file.seek(start, Deno.SeekMode.Start);
  for (let filled = 0; filled < bytes;) {
    const count = await file.read(found.subarray(filled));
    if (count === null) return false;
    filled += count;
  }
  return await sha256(found) === pieces[index];
}

async function write(file: Deno.FsFile, start: number, bytes: Uint8Array): Promise<void> {
  await file.seek(start, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

/** A piece whose hash is right; nothing else is ever written. */
async function fetchPiece(
  store: ModelStore,
  manifest: Manifest,
  { name, pieces }: ModelFile,
  piece: Piece,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  let why = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const bytes = await store.getPiece(manifest, piece, signal).catch((error: Error) => {
      signal?.throwIfAborted();
      why = error.message;
      return undefined;
    });
    if (bytes === null) why = "it is not in the store any more; if the model was pushed again meanwhile, try again";
    if (!bytes) continue;
    const found = await sha256(bytes);
    if (found === pieces[piece.index]) return bytes;
    why = `its sha256 is ${found}, and should be ${pieces[piece.index]}; push the model again`;
  }
  throw new ModelStoreError(`Cannot fetch ${name} of model ${manifest.name}, piece ${piece.index + 1}: ${why}`);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
