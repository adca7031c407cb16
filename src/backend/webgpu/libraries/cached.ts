/** Where libraries lie that were fetched. */
import { join } from "node:path";

/** What the environment says. */
export type Variable = (name: string) => string | undefined;

/** A file in the user's cache, in a folder for one release; null if the environment does not tell where the cache is. */
export function cachedFile(
  folder: string,
  name: string,
  os: string = Deno.build.os,
  variable: Variable = readVariable,
): string | null {
  const below = (folder: string | undefined, ...path: string[]) => folder ? join(folder, ...path) : null;
  const usual = os === "windows"
    ? below(variable("LOCALAPPDATA"))
    : below(variable("HOME"), ...(os === "darwin" ? ["Library", "Caches"] : [".cache"]));
  const cache = below(variable("XDG_CACHE_HOME")) ?? usual;
  return cache && join(cache, "ringlet", folder, name);
}

export function readVariable(name: string): string | undefined {
  return name === "" ? undefined : Deno.env.get(name);
}

export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
