/** The table of cosines and sines on a device, filled as far as sequences have come. */
import type { Backend } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";
import type { ModelConfig } from "./config.ts";
import { ropeTable } from "./rope.ts";

/** Positions computed at once: 2 MiB of Ring-mini-linear-2.0, and some ten milliseconds. */
const STRETCH = 8192;

/** Bytes of the table of so many positions. */
export const ropeBytes = ({ rotaryDim }: ModelConfig, context: number): number => 4 * context * rotaryDim;

export class RopeTable {
  /** [context, 2, R / 2] */
  readonly tensor: Tensor;
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #context: number;
  #filled = 0;

  constructor(backend: Backend, config: ModelConfig, context: number) {
    this.tensor = backend.tensor("rope", "f32", [context, 2, config.rotaryDim / 2]);
    this.#backend = backend;
    this.#config = config;
    this.#context = context;
  }

  /** Resolves when the table holds positions 0 to `end` - 1; those past the context are not its own to refuse. */
  async reach(end: number): Promise<void> {
    while (this.#filled < Math.min(end, this.#context)) {
      const count = Math.min(STRETCH, this.#context - this.#filled);
      const rows = ropeTable(this.#config, count, this.#filled);
      await this.#backend.write(this.tensor, this.#filled * this.#config.rotaryDim, new Uint8Array(rows.buffer));
      this.#filled += count;
    }
  }
}
