/** Fetches the C library: a pinned wheel, whose hash is checked, of which one file is kept. */
import { LibraryError } from "../libraries/library_error.ts";
import { fetchPinned, type Installation, type OnProgress, putProven } from "../libraries/pinned.ts";
import { unzip } from "../libraries/unzip.ts";
import { installedLibrary } from "./find.ts";
import { Library } from "./library.ts";
import { FILE_NAMES, RELEASE, WHEELS } from "./releases.ts";

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
  return { name: "wgpu-native", version: RELEASE, url: wheel.url, bytes: wheel.bytes, path };
}

/**
 * Fetches the library and proves that it can be opened; returns its file.
 * @throws {LibraryError} if it cannot be fetched, or is not what it should be; then nothing is left behind
 */
export async function install(
  onProgress: OnProgress = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const { path } = plannedInstallation();
  const { os, arch } = Deno.build;
  const wheel = WHEELS[`${os} ${arch}`]!;
  const archive = await fetchPinned(wheel, onProgress, signal);
  const library = await unzip(archive, (name) => name.endsWith(FILE_NAMES[os]!.replace(".", "-release.")));
  if (library === null) throw new LibraryError(`Cannot install wgpu-native: ${wheel.url} has no such library`);
  await putProven(path, library, (unproven) => new Library(unproven)[Symbol.dispose]());
  return path;
}
