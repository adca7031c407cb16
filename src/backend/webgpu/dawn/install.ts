/** Fetches Dawn: a pinned package of npm's, whose hash is checked, of which this system's files are kept. */
import { basename, dirname, join } from "node:path";
import { LibraryError } from "../libraries/library_error.ts";
import { fetchPinned, type Installation, type OnProgress, putProven } from "../libraries/pinned.ts";
import { untar } from "../libraries/untar.ts";
import { installedDawn } from "./find.ts";
import { loadModule } from "./module.ts";
import { FILE_NAME, FOLDERS, packageAt, RELEASE } from "./release.ts";

/**
 * What would be fetched for this computer, and from where.
 * @throws {LibraryError} where there is no module for it, or no folder to put it
 */
export function plannedInstallation(): Installation {
  folder();
  const path = installedDawn();
  if (path === null) throw new LibraryError("Cannot install Dawn: set XDG_CACHE_HOME to a folder that is kept");
  const { url, bytes } = packageAt();
  return { name: "Dawn, in npm's webgpu", version: RELEASE, url, bytes, path };
}

/** Of the archive. */
function folder(): string {
  const { os, arch } = Deno.build;
  const found = FOLDERS[`${os} ${arch}`];
  if (found !== undefined) return found;
  throw new LibraryError(
    `Cannot install Dawn: there is none for ${os} ${arch}, only for ${Object.keys(FOLDERS).join(", ")}`,
  );
}

/**
 * Fetches the module and proves that it can be opened; returns its file.
 * @throws {LibraryError} if it cannot be fetched, or is not what it should be; then no module is left behind
 */
export async function install(onProgress: OnProgress = () => {}, signal?: AbortSignal): Promise<string> {
  const { path, url } = plannedInstallation();
  const files = await untar(
    await fetchPinned(packageAt(), onProgress, signal),
    (name) => name.startsWith(folder()) && /\.(node|dll)$/.test(name),
  );
  const module = files.get(folder() + FILE_NAME);
  if (module === undefined) throw new LibraryError(`Cannot install Dawn: ${url} has no such module`);
  await Deno.mkdir(dirname(path), { recursive: true });
  for (const [name, content] of files) { // what Windows has beside it
    if (content !== module) await Deno.writeFile(join(dirname(path), basename(name)), content);
  }
  await putProven(path, module, loadModule);
  return path;
}
