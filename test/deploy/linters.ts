/** The programs and schemas that deployments are checked with, where they are, and how one is run. */
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import { cachedFile, isFile } from "../../src/backend/webgpu/libraries/cached.ts";

/** Where scripts/fetch_linters.ts puts them; null if nothing says where the user's cache is. */
export const HADOLINT = cachedFile("hadolint-2.15.1", "hadolint");
export const KUBERNETES_SCHEMAS = cachedFile("kubernetes-1.37", "definitions.json");

export const FETCH = "deno run -A scripts/fetch_linters.ts";

export const DEPLOY: string = fileURLToPath(new URL("../../deploy/", import.meta.url));

/** The path of a program; null if it is nowhere that programs are. */
export function program(name: string): string | null {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find(isFile) ?? null;
}

/** Runs a program in a folder. @throws {AssertionError} with what it prints, unless it exits with 0 */
export async function passes(path: string, args: readonly string[], cwd: string = DEPLOY): Promise<string> {
  const output = await new Deno.Command(path, { args: [...args], cwd, env: { NO_COLOR: "1" } }).output();
  const printed = new TextDecoder().decode(output.stdout) + new TextDecoder().decode(output.stderr);
  assert.equal(output.code, 0, printed);
  return printed;
}

/** Declares a test that needs a program; where it is not here, it is left out and its name says what to do. */
export function testWith(path: string | null, remedy: string, name: string, run: (path: string) => Promise<void>) {
  const isHere = path !== null && isFile(path);
  Deno.test({ name: isHere ? name : `${name} (left out: ${remedy})`, ignore: !isHere, fn: () => run(path!) });
}
