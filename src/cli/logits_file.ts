/** Writes the logits of a text, `{"tokens":[…],"logits":[[…],…]}`, so that the file is whole or not there. */

export class LogitsFile implements AsyncDisposable {
  readonly #path: string;
  readonly #part: string;
  readonly #file: Deno.FsFile;
  #rows = 0;
  #closed = false;

  private constructor(path: string, part: string, file: Deno.FsFile) {
    this.#path = path;
    this.#part = part;
    this.#file = file;
  }

  /** Writes beside `path` until `finish` gives the file its name. */
  static async create(path: string, tokens: Uint32Array): Promise<LogitsFile> {
    const part = `${path}.${crypto.randomUUID()}.part`;
    const file = new LogitsFile(path, part, await Deno.open(part, { write: true, createNew: true }));
    file.#write(`{"tokens":[${tokens.join(",")}],"logits":[`);
    return file;
  }

  /**
   * @param logits [rows, V]
   * @throws {RangeError} for a logit that is not finite, which JSON cannot say.
   */
  append(logits: Float32Array, rows: number): void {
    const width = logits.length / rows;
    for (let row = 0; row < rows; row++, this.#rows++) {
      const values = logits.subarray(row * width, (row + 1) * width);
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) {
        throw new RangeError(
          `Cannot write the logits of position ${this.#rows}: that of token ${bad} is ${values[bad]}`,
        );
      }
      // Nine digits tell every f32 from its neighbours.
      this.#write(`${this.#rows > 0 ? "," : ""}\n[${Array.from(values, (value) => value.toPrecision(9)).join(",")}]`);
    }
  }

  async finish(): Promise<void> {
    this.#write("\n]}\n");
    this.#close();
    await Deno.rename(this.#part, this.#path);
  }

  /** Without `finish` before it, leaves nothing behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#close();
    await Deno.remove(this.#part);
  }

  #close(): void {
    this.#closed = true;
    this.#file.close();
  }

  #write(text: string): void {
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(this.#file.writeSync(rest));
  }
}
