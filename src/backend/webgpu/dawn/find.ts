/** Where Dawn's module lies. */
import { cachedFile, isFile, readVariable, type Variable } from "../libraries/cached.ts";
import { FILE_NAME, RELEASE } from "./release.ts";

/** Names a file, and no other is looked for. */
export const CHOICE = "RINGLET_DAWN";

/** Where an installed module is put: in the user's cache, or null if the environment does not tell where that is. */
export function installedDawn(os: string = Deno.build.os, variable: Variable = readVariable): string | null {
  return cachedFile(`dawn-${RELEASE}`, FILE_NAME, os, variable);
}

/** What RINGLET_DAWN names, there or not, else the module that was installed; null if none was. */
export function findDawn(os: string = Deno.build.os, variable: Variable = readVariable): string | null {
  const chosen = variable(CHOICE);
  if (chosen) return chosen;
  const installed = installedDawn(os, variable);
  return installed !== null && isFile(installed) ? installed : null;
}
