/** What changes from step to step, where the kernels of one plan read it. */
import type { KernelsExports } from "../../../wasm/kernels.ts";
import type { Memory, Ptr } from "../../../wasm/memory.ts";
import { type Capacity, placesOf, type StepInput } from "../backend.ts";
import type { Counts } from "./call.ts";

/** Words of a segment: place of its states, position of the first row, rows, index of the first row. */
const SEGMENT_WORDS = 4;

/** Numbers of a draw: temperature, top-k, top-p, min-p, u. */
const RULE_NUMBERS = 5;

/** Tables of a plan in linear memory, and the counts of the step that runs. */
export class StepTables {
  /** [rows], tokens of a plan that embeds */
  readonly tokens: Ptr<"u32">;
  /** [rows] */
  readonly positions: Ptr<"u32">;
  /** [segments, 4] */
  readonly segments: Ptr<"u32">;
  /** [segments, most], the pages of each one's sequence */
  readonly pages: Ptr<"u32">;
  readonly mostPages: number;
  /** [outputs], rows whose logits are wanted */
  readonly outputs: Ptr<"u32">;
  /** [2]: how many further steps were before this one, and how many there are in all */
  readonly chain: Ptr<"u32">;
  /** [steps, outputs, 5], how each one's token is drawn: temperature, top-k, top-p, min-p, u */
  readonly rules: Ptr<"f64">;
  /** Hidden rows of a plan that receives. */
  received: Float32Array = new Float32Array();
  rowCount = 0;
  segmentCount = 0;
  outputCount = 0;
  readonly #memory: Memory<KernelsExports>;
  readonly #capacity: Capacity;

  constructor(memory: Memory<KernelsExports>, capacity: Capacity) {
    this.#memory = memory;
    this.#capacity = capacity;
    this.tokens = memory.alloc("u32", capacity.rows);
    this.positions = memory.alloc("u32", capacity.rows);
    this.segments = memory.alloc("u32", capacity.segments * SEGMENT_WORDS);
    this.mostPages = capacity.pages ?? 0;
    this.pages = memory.alloc("u32", capacity.segments * this.mostPages);
    this.outputs = memory.alloc("u32", capacity.outputs);
    this.chain = memory.alloc("u32", 2);
    this.rules = memory.alloc("f64", RULE_NUMBERS * (capacity.draws ?? 0));
  }

  /** Writes the tables of a step. Throws RangeError if it is larger than the plan's capacity. */
  set(input: StepInput): void {
    const { segments, pages = [], outputs, rows, draws = [] } = input;
    this.rowCount = segments.reduce((sum, segment) => sum + segment.rows, 0);
    this.segmentCount = segments.length;
    this.outputCount = outputs.length;
    this.#check(draws.length * outputs.length);
    this.#writeSegments(input);
    this.#writePages(pages);
    this.#writeDraws(draws);
    this.#memory.view("u32", this.outputs, outputs.length).set(outputs);
    if (rows instanceof Float32Array) this.received = rows;
    else if (rows) this.#memory.view("u32", this.tokens, rows.length).set(rows);
  }

  /** In the order of COUNTS. */
  get counts(): Counts {
    return [this.rowCount, this.segmentCount, this.outputCount];
  }

  #check(drawCount: number): void {
    const { rows, segments, outputs, draws = 0 } = this.#capacity;
    if (this.rowCount > rows || this.segmentCount > segments || this.outputCount > outputs) {
      throw new RangeError(
        `Cannot run ${this.rowCount} rows in ${this.segmentCount} segments with ${this.outputCount} outputs ` +
          `by a plan for ${rows}, ${segments} and ${outputs}`,
      );
    }
    if (drawCount > draws) throw new RangeError(`Cannot draw ${drawCount} tokens by a plan for ${draws}`);
  }

  #writeDraws(draws: NonNullable<StepInput["draws"]>): void {
    this.#memory.view("u32", this.chain, 2).set([0, draws.length]);
    const rules = draws.flat().flatMap(({ temperature, topK, topP, minP, u }) => [temperature, topK, topP, minP, u]);
    this.#memory.view("f64", this.rules, rules.length).set(rules);
  }

  #writePages(pages: NonNullable<StepInput["pages"]>): void {
    const most = this.mostPages;
    const table = this.#memory.view("u32", this.pages, pages.length * most);
    pages.forEach((own, i) => {
      if (own.length > most) throw new RangeError(`Cannot run ${own.length} pages of a sequence by a plan for ${most}`);
      table.set(own, i * most);
    });
  }

  #writeSegments(input: StepInput): void {
    const { segments } = input;
    const places = placesOf(input);
    const table = this.#memory.view("u32", this.segments, SEGMENT_WORDS * segments.length);
    const positions = this.#memory.view("u32", this.positions, this.rowCount);
    let row = 0;
    segments.forEach(({ start, rows }, i) => {
      table.set([places[i]!.to, start, rows, row], SEGMENT_WORDS * i);
      for (let position = start; position < start + rows; position++) positions[row++] = position;
    });
  }
}
