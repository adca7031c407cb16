/** Ranged reads: a file's bytes by offset, without ever holding the whole file in memory. */
import { CheckpointError } from "./checkpoint_error.ts";

/** Bytes of known size that can be read by range. */
export interface Source extends Disposable {
  /** For messages: the path it was opened with. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly `length` bytes from byte `offset`, in a buffer of their own, or at the start of `into` if they fit, which may be
   * shared memory. Reads may be under way at once.
   * @throws {RangeError} if the range is not within the source
   * @throws {CheckpointError} if the source turns out shorter than `size`
   */
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Opens a regular file for ranged reads, with one handle.
 * @throws {Deno.errors.NotFound} if there is no such file
 * @throws {CheckpointError} if it is a folder, a pipe or a device
 */
export async function openFile(path: string): Promise<Source> {
  // Before opening, since opening a named pipe waits for a writer.
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new CheckpointError(`Cannot read ${path} as a file: it is a folder, a pipe or a device`);
  return new FileSource(path, size, await Deno.open(path));
}

class FileSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #file: Deno.FsFile;
  /** The read before: a handle has one position, so that reads go one after another. */
  #previous: Promise<unknown> = Promise.resolve();

  constructor(name: string, size: number, file: Deno.FsFile) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const read = this.#previous.then(() => this.#read(offset, length, into));
    this.#previous = read.catch(() => {}); // a failed read is its caller's; the next one seeks anew
    return read;
  }

  async #read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0)) {
      throw new RangeError(`Cannot read ${length} bytes at ${offset} of ${this.name}: both must be whole numbers`);
    }
    if (offset + length > this.size) {
      throw new RangeError(`Cannot read ${length} bytes at ${offset} of ${this.name}: it has ${this.size} bytes`);
    }
    const bytes = into && into.length >= length ? into.subarray(0, length) : new Uint8Array(length);
    await this.#file.seek(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const count = await this.#file.read(bytes.subarray(filled)); // may be short: Linux gives at most 2 GiB a call
      if (count === null) {
        throw new CheckpointError(
          `Cannot read ${length} bytes at ${offset} of ${this.name}: it was cut to ${
            offset + filled
          } bytes while in use`,
        );
      }
      filled += count;
    }
    return bytes;
  }

  /** Closes the file; reads still under way fail. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
