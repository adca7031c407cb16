/** Fetches what is pinned: an archive of known bytes, of which some files are kept. */
import { dirname, extname, join } from "node:path";
import { LibraryError } from "./library_error.ts";

/** What an installation would do. */
export interface Installation {
  /** The provider, and its library's release. */
  readonly name: string;
  readonly version: string;
  readonly url: string;
  /** That are fetched. */
  readonly bytes: number;
  /** Where the library is put. */
  readonly path: string;
}

/** An archive whose content is known by its hash. */
export interface Pinned {
  readonly url: string;
  readonly bytes: number;
  readonly algorithm: "SHA-256" | "SHA-512";
  /** In hexadecimal. */
  readonly hash: string;
}

export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/**
 * The bytes behind an address, if they are those that were pinned.
 * @throws {LibraryError} if they are others, or cannot be had
 */
export async function fetchPinned(
  { url, bytes, algorithm, hash }: Pinned,
  onProgress: OnProgress = () => {},
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(bytes);
  let done = 0;
  for await (const piece of await open(url, signal)) {
    if (done + piece.length > bytes) {
      throw new LibraryError(`Cannot install from ${url}: it has more than ${bytes} bytes`);
    }
    all.set(piece, done);
    onProgress(done += piece.length, bytes);
  }
  const found = new Uint8Array(await crypto.subtle.digest(algorithm, all)).toHex();
  if (found === hash) return all;
  throw new LibraryError(`Cannot install from ${url}: its ${algorithm} is ${found}, and should be ${hash}`);
}

async function open(url: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const response = await fetch(url, { signal: signal ?? null }).catch((error: Error) => {
    if (signal?.aborted) throw error;
    throw new LibraryError(`Cannot fetch ${url}: ${error.message}`);
  });
  if (response.ok && response.body) return response.body;
  throw new LibraryError(`Cannot fetch ${url}: the server answers ${response.status} ${response.statusText}`.trim());
}

/** Writes a library and lets it be proven before it has its name; if it is not, nothing of it is left behind. */
export async function putProven(
  path: string,
  library: Uint8Array<ArrayBuffer>,
  prove: (path: string) => void,
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const unproven = join(dirname(path), crypto.randomUUID() + extname(path));
  try {
    await Deno.writeFile(unproven, library, { mode: 0o755 });
    prove(unproven);
    await Deno.rename(unproven, path);
  } catch (error) {
    await Deno.remove(unproven).catch(() => {});
    throw error;
  }
}
