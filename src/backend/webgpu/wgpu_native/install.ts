/** Fetches the C library: a pinned wheel, whose hash is checked, of which one file is kept. */
import { dirname } from "node:path";
import { installedLibrary } from "./find.ts";
import { Library, LibraryError } from "./library.ts";
import { FILE_NAMES, RELEASE, type Wheel, WHEELS } from "./releases.ts";
import { unzip } from "./unzip.ts";

/** What an installation would do. */
export interface Installation {
  /** Of wgpu-native. */
  readonly version: string;
  readonly url: string;
  /** That are fetched. */
  readonly bytes: number;
  /** Where the library is put. */
  readonly path: string;
}

/**
 * What would be fetched for this computer, and from where.
 * @throws {LibraryError} where there is no library for it, or no folder to put it
 */
export function plannedInstallation(): Installation {
  const { os, arch } = Deno.build;
  const wheel = WHEELS[`${os} ${arch}`];
  if (wheel === undefined) {
    const known = Object.keys(WHEELS).join(", ");
    throw new LibraryError(`Cannot install wgpu-native: there is none for ${os} ${arch}, only for ${known}`);
  }
  const path = installedLibrary();
  if (path === null) throw new LibraryError("Cannot install wgpu-native: set XDG_CACHE_HOME to a folder that is kept");
  return { version: RELEASE, url: wheel.url, bytes: wheel.bytes, path };
}

/**
 * Fetches the library and proves that it can be opened; returns its file.
 * @throws {LibraryError} if it cannot be fetched, or is not what it should be; then nothing is left behind
 */
export async function install(
  onProgress: (doneBytes: number, totalBytes: number) => void = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const { path } = plannedInstallation();
  const { os, arch } = Deno.build;
  const wheel = WHEELS[`${os} ${arch}`]!;
  const archive = await fetchWheel(wheel, onProgress, signal);
  const library = await unzip(archive, (name) => name.endsWith(FILE_NAMES[os]!.replace(".", "-release.")));
  if (library === null) throw new LibraryError(`Cannot install wgpu-native: ${wheel.url} has no such library`);
  await Deno.mkdir(dirname(path), { recursive: true });
  const unproven = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.writeFile(unproven, library, { mode: 0o755 });
    new Library(unproven)[Symbol.dispose]();
    await Deno.rename(unproven, path);
  } catch (error) {
    await Deno.remove(unproven).catch(() => {});
    throw error;
  }
  return path;
}

/** The bytes behind an address, if they are those that were pinned. */
export async function fetchWheel(
  { url, bytes, sha256 }: Wheel,
  onProgress: (doneBytes: number, totalBytes: number) => void,
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
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", all)).toHex();
  if (hash === sha256) return all;
  throw new LibraryError(`Cannot install from ${url}: its SHA-256 is ${hash}, and should be ${sha256}`);
}

async function open(url: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const response = await fetch(url, { signal: signal ?? null }).catch((error: Error) => {
    if (signal?.aborted) throw error;
    throw new LibraryError(`Cannot fetch ${url}: ${error.message}`);
  });
  if (response.ok && response.body) return response.body;
  throw new LibraryError(`Cannot fetch ${url}: the server answers ${response.status} ${response.statusText}`.trim());
}
