/** Files that a command is told to read. */

/** @throws {Error} with one sentence that names the file, if it cannot be read. */
export async function readInput(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new Error(`Cannot read ${path}: ${why}`, { cause: error });
  }
}
