/** A folder that appears under its name when all of it is written, or not at all. */
import { dirname, resolve } from "node:path";
import { CheckpointError } from "../formats/checkpoint_error.ts";

/** Has a name of its own until it is finished; without that it goes away. */
export class UnfinishedFolder implements AsyncDisposable {
  /** Where to write. */
  readonly path: string;
  readonly #out: string;
  #finished = false;

  private constructor(out: string) {
    this.#out = out;
    this.path = `${out}-unfinished-${crypto.randomUUID().slice(0, 8)}`;
  }

  /** @throws {CheckpointError} if `out` is there already */
  static async create(out: string): Promise<UnfinishedFolder> {
    const folder = new UnfinishedFolder(resolve(out));
    if (await Deno.lstat(out).then(() => true, () => false)) {
      throw new CheckpointError(`Cannot write a checkpoint to ${out}: it is there already`);
    }
    await Deno.mkdir(dirname(folder.path), { recursive: true });
    await Deno.mkdir(folder.path);
    return folder;
  }

  async finish(): Promise<void> {
    await Deno.rename(this.path, this.#out);
    this.#finished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#finished) await Deno.remove(this.path, { recursive: true });
  }
}
