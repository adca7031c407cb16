/** Fills a folder with a model's files, or a part of them: what is there is kept if its hash is right, and nothing is written whose is not. */
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

/** How often a piece is asked for: the broker may start again meanwhile. */
const ATTEMPTS = 3;

export interface Fetching {
  readonly store: ModelStore;
  readonly manifest: Manifest;
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/** A part of a model's files. All have their names and sizes, and what is not wanted is empty. */
export interface Part {
  /** A folder's name, another one for each part. */
  readonly name: string;
  /** The bytes that are wanted besides the extracts and the files without any, all of which are in the folder by then. */
  ranges(folder: string): Promise<readonly { readonly file: string; readonly start: number; readonly end: number }[]>;
}

/** Those of the folder that are there and right stay. */
export async function fetchFiles(
  fetching: Fetching,
  part: Part | undefined,
  onProgress: (doneBytes: number, totalBytes: number) => void = () => {},
): Promise<void> {
  const { manifest, folder } = fetching;
  await Deno.mkdir(folder, { recursive: true });
  const files = part ? await fetchBasis(fetching) : manifest.files;
  const ranges = await part?.ranges(folder);
  const wanted = files.map((file) => {
    const of = ranges?.filter((range) => range.file === file.name);
    const pieces = [...piecesOf(file, manifest.pieceBytes)];
    return { file, pieces: of ? pieces.filter((piece) => of.some((range) => overlaps(piece, range))) : pieces };
  });
  const total = totalBytes(wanted.flatMap(({ pieces }) => pieces));
  let done = 0;
  for (const { file, pieces } of wanted) {
    await fetchPieces(fetching, file, pieces, (bytes) => onProgress(done += bytes, total));
  }
}

/** Fetches all but the files of which a part may do, which become extracts; returns these. */
async function fetchBasis(fetching: Fetching): Promise<readonly ModelFile[]> {
  const { manifest: { files, pieceBytes }, folder } = fetching;
  for (const file of files) {
    if (!file.extracts) await fetchPieces(fetching, file, piecesOf(file, pieceBytes));
    else await writeExtracts(folder, file);
  }
  return files.filter(({ extracts }) => extracts !== undefined);
}

async function writeExtracts(folder: string, { name, bytes, extracts = [] }: ModelFile): Promise<void> {
  using opened = await Deno.open(join(folder, name), { create: true, write: true });
  await opened.truncate(bytes);
  for (const { start, content } of extracts) await write(opened, start, Uint8Array.fromBase64(content));
  await opened.syncData();
}

function overlaps(piece: Piece, range: { readonly start: number; readonly end: number }): boolean {
  return piece.start < range.end && range.start < piece.start + piece.bytes;
}

async function fetchPieces(
  { store, manifest, folder, signal }: Fetching,
  file: ModelFile,
  pieces: Iterable<Piece>,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const path = join(folder, file.name);
  const begun = await sizeOf(path) !== null;
  using opened = await Deno.open(path, { create: true, read: true, write: true });
  await opened.truncate(file.bytes);
  for (const piece of pieces) {
    signal?.throwIfAborted();
    if (!(begun && await isThere(opened, file, piece))) {
      await write(opened, piece.start, await fetchPiece(store, manifest, file, piece, signal));
    }
    onBytes(piece.bytes);
  }
  await opened.syncData();
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

/** Null if it is no file. */
export async function sizeOf(path: string): Promise<number | null> {
  return await Deno.stat(path).then(({ isFile, size }) => isFile ? size : null, () => null);
}
