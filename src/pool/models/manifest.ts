/** What a model in the store is made of: its files in pieces with their hashes, read with suspicion. */
import { z } from "zod";

/** A model cannot be put into the store or taken out of it; the message says why and what to do. */
export class ModelStoreError extends Error {
  override readonly name = "ModelStoreError";
}

/** Written last, so that a model is there with all its pieces or not at all. */
export interface Manifest {
  readonly format: 1;
  readonly name: string;
  /** New at every push: its pieces are under this id. */
  readonly id: string;
  /** When, as ISO 8601 has it. */
  readonly pushed: string;
  /** Of every piece but the last of a file. */
  readonly pieceBytes: number;
  readonly files: readonly ModelFile[];
}

export interface ModelFile {
  readonly name: string;
  readonly bytes: number;
  /** sha256 of each piece, in hex; none of an empty file. */
  readonly pieces: readonly string[];
  /** Of a file of which a part may do: what everybody needs of it. */
  readonly extracts?: readonly Extract[];
}

/** Some bytes of a file, in base64. */
export interface Extract {
  readonly start: number;
  readonly content: string;
}

/** Of one file: bytes `[start, start + bytes)`. */
export interface Piece {
  readonly file: string;
  readonly index: number;
  readonly start: number;
  readonly bytes: number;
}

/** Read and written in one go, and hashed before any of it is trusted. */
export const PIECE_BYTES = 32 * 2 ** 20;
const MOST_PIECE_BYTES = 2 ** 28;
const MOST_FILES = 10_000;
/** Ring-flash's has 5 MB, most of it headers of its files. */
export const MOST_MANIFEST_BYTES = 2 ** 26;

/** A part of object names and of a path, which cannot lead anywhere else. */
const MODEL_NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;
const FILE_NAME = /^\w[\w.-]{0,199}$/;
/** Not as a whole name, and not at its end, where Windows does not see it. */
const isPlain = (name: string) => !name.endsWith(".");

const extract = z.object({ start: z.int().nonnegative(), content: z.base64() });

const file = z.object({
  name: z.string().regex(FILE_NAME).refine(isPlain),
  bytes: z.int().nonnegative(),
  pieces: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  extracts: z.array(extract).exactOptional(),
}).refine(
  ({ bytes, extracts = [] }) => extracts.every(({ start, content }) => start + decodedBytes(content) <= bytes),
  "it has bytes that are not in the file",
);

const manifest: z.ZodType<Manifest> = z.object({
  format: z.literal(1),
  name: z.string(),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  pushed: z.iso.datetime(),
  pieceBytes: z.int().min(1).max(MOST_PIECE_BYTES),
  files: z.array(file).max(MOST_FILES),
}).refine(
  ({ files, pieceBytes }) => files.every(({ bytes, pieces }) => pieces.length === Math.ceil(bytes / pieceBytes)),
  "its pieces are not as many as its bytes",
).refine(
  ({ files }) => new Set(files.map(({ name }) => name.toLowerCase())).size === files.length,
  "two of its files have one name",
);

/** @throws {ModelStoreError} for a name that could mean something else than a model */
export function checkModelName(name: string): string {
  if (MODEL_NAME.test(name) && isPlain(name)) return name;
  const shown = JSON.stringify(name.slice(0, 120));
  throw new ModelStoreError(
    `Cannot use ${shown} as a model's name: it must have letters, digits, ".", "_" and "-" only`,
  );
}

/** Whether a file's name can be in a manifest. */
export function isFileName(name: string): boolean {
  return FILE_NAME.test(name) && isPlain(name);
}

/**
 * Reads the manifest of a model.
 * @throws {ModelStoreError} if it is not one, or of another model
 */
export function readManifest(name: string, bytes: Uint8Array): Manifest {
  const refuse = (why: string): never => {
    throw new ModelStoreError(`Cannot use model ${name} of the store: ${why}; push it again`);
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return refuse("its manifest is not JSON");
  }
  if ((json as Partial<Manifest> | null)?.format !== 1) refuse("its manifest is of another version of Ringlet");
  const { data, error } = manifest.safeParse(json);
  if (data === undefined) {
    const { path, message } = error!.issues[0]!;
    return refuse(`its manifest is wrong${path.length > 0 ? ` in ${path.join(".")}` : ""}: ${message}`);
  }
  return data.name === name ? data : refuse("its manifest is another model's");
}

/** Of all files: models with the same are the same to the bit, whoever pushed them when. */
export async function contentHash({ pieceBytes, files }: Manifest): Promise<string> {
  return await sha256(new TextEncoder().encode(JSON.stringify({ pieceBytes, files })));
}

/** Of base64. */
function decodedBytes(content: string): number {
  return content.length / 4 * 3 - (content.endsWith("==") ? 2 : content.endsWith("=") ? 1 : 0);
}

/** In how many pieces a file is, and where each begins. */
export function* piecesOf(file: Pick<ModelFile, "name" | "bytes">, pieceBytes: number): Generator<Piece> {
  for (let start = 0, index = 0; start < file.bytes; start += pieceBytes, index++) {
    yield { file: file.name, index, start, bytes: Math.min(pieceBytes, file.bytes - start) };
  }
}

export function totalBytes(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** In hex. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
