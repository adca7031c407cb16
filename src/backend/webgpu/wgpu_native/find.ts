/** Where the C library lies. */
import { join } from "node:path";
import { cachedFile, isFile, readVariable, type Variable } from "../libraries/cached.ts";
import { LibraryError } from "../libraries/library_error.ts";
import { MAJOR } from "./library.ts";
import { FILE_NAMES, RELEASE } from "./releases.ts";

/** Names a file, and no other is looked for. */
const CHOICE = "RINGLET_WGPU_NATIVE";

/** Folders in which systems have libraries. */
const SYSTEM_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  linux: ["/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"],
  darwin: ["/opt/homebrew/lib", "/usr/local/lib"],
};

/** Variables with more of such folders. */
const PATHS: Readonly<Record<string, string>> = {
  linux: "LD_LIBRARY_PATH",
  darwin: "DYLD_LIBRARY_PATH",
  windows: "PATH",
};

/** Where an installed library is put: in the user's cache, or null if the environment does not tell where that is. */
export function installedLibrary(os: string = Deno.build.os, variable: Variable = readVariable): string | null {
  return cachedFile(`wgpu-native-${RELEASE}`, fileName(os), os, variable);
}

/**
 * The library's file: what RINGLET_WGPU_NATIVE names, else the one that was installed, else one in the system's folders.
 * @throws {LibraryError} if there is none
 */
export function findLibrary(os: string = Deno.build.os, variable: Variable = readVariable): string {
  const chosen = variable(CHOICE);
  if (chosen) {
    if (isFile(chosen)) return chosen;
    throw new LibraryError(`Cannot find wgpu-native: ${CHOICE} names ${chosen}, and there is no such file`);
  }
  const folders = [
    ...variable(PATHS[os] ?? "")?.split(os === "windows" ? ";" : ":") ?? [],
    ...SYSTEM_FOLDERS[os] ?? [],
  ];
  const places = [
    installedLibrary(os, variable),
    ...folders.filter(Boolean).map((folder) => join(folder, fileName(os))),
  ];
  const found = places.find((path) => path !== null && isFile(path));
  if (found) return found;
  throw new LibraryError(
    `Cannot find wgpu-native: there is no ${fileName(os)}; "ringlet devices --install wgpu-native" fetches it, or ` +
      `${CHOICE} names the file of a version ${MAJOR}`,
  );
}

const fileName = (os: string) => FILE_NAMES[os] ?? FILE_NAMES.linux!;
