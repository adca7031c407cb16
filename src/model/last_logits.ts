/** The logits of the last steps: whole rows of one may be wanted when others have run behind it. */
import type { Backend } from "../backend/backend.ts";
import type { Tensor } from "../backend/tensor.ts";

/** Where a step's R rows are. */
interface Rows {
  readonly step: number;
  readonly count: number;
  readonly tensor: Tensor;
}

export class LastLogits {
  readonly #backend: Pick<Backend, "copy" | "read">;
  readonly #tensor: Tensor;
  readonly #kept: readonly Tensor[];
  #rows: readonly Rows[] = []; // of the last step first, if it has any

  /** `tensor` [R, V] is what steps write; `kept`, of the same shape, has room for as many steps before the last. */
  constructor(backend: Pick<Backend, "copy" | "read">, tensor: Tensor, kept: readonly Tensor[]) {
    this.#backend = backend;
    this.#tensor = tensor;
    this.#kept = kept;
  }

  /** To be called before a step with outputs: keeps those of the step before, in place of the oldest. */
  async makeWay(): Promise<void> {
    const [last, ...others] = this.#rows;
    if (last?.tensor !== this.#tensor) return;
    const rows = others.slice(0, Math.max(0, this.#kept.length - 1));
    this.#rows = rows;
    const tensor = this.#kept.find((kept) => rows.every((one) => one.tensor !== kept));
    if (tensor === undefined) return;
    this.#rows = [{ ...last, tensor }, ...rows];
    await this.#backend.copy(last.tensor, tensor, last.count * this.#vocabulary);
  }

  /** A step with so many outputs has run. */
  ran(step: number, count: number): void {
    this.#rows = [{ step, count, tensor: this.#tensor }, ...this.#rows.filter(({ tensor }) => tensor !== this.#tensor)];
  }

  /**
   * [R, V] of a step.
   * @throws RangeError if they are gone, or the step failed
   */
  async read(step: number): Promise<Float32Array> {
    const rows = this.#rows.find((one) => one.step === step);
    if (rows === undefined) {
      throw new RangeError(`Cannot read the logits of step ${step}: it did not run, or too many others have since`);
    }
    const { tensor, count } = rows;
    const [bytes] = await this.#backend.read([{ tensor, elements: count * this.#vocabulary }]);
    return new Float32Array(bytes!);
  }

  get #vocabulary(): number {
    return this.#tensor.shape[1]!;
  }
}
