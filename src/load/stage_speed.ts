/** How fast a stage is that is open, measured by what it does in a pool: a row, and as many as a step may have. */
import type { Link } from "../pipeline/link.ts";
import type { FromStage, Step, ToStage } from "../pipeline/steps.ts";
import { hiddenRows } from "../stage/chunk_rows.ts";

export interface StageSpeed {
  /** Milliseconds of a step of one row. */
  readonly rowMillis: number;
  /** Rows per second of the largest step. */
  readonly promptRows: number;
}

/** Steps of one row; the first ones make room, and are not counted. */
const ROW_STEPS = 8;

/** A largest step that takes longer is not run a second time. */
const LONG_MILLIS = 1000;

/**
 * Over the links to its worker and back, which nobody else uses yet. Nothing stays behind.
 * @param vocabulary V, on the first stage, which takes tokens; else null
 * @param hidden H
 * @throws {Error} with the stage's reason if a step fails
 */
export async function measureStage(
  input: Link<never, ToStage>,
  output: Link<ToStage | FromStage, never>,
  { rows, hidden, vocabulary, last }: {
    readonly rows: number;
    readonly hidden: number;
    readonly vocabulary: number | null;
    readonly last: boolean;
  },
): Promise<StageSpeed> {
  const answers = output[Symbol.asyncIterator]();
  const run = async (start: number, rows: number): Promise<number> => {
    const begun = performance.now();
    const step: Step = { id: start, segments: [{ slot: 0, start, rows }], outputs: Uint32Array.of(rows - 1) };
    if (vocabulary !== null) input.send({ type: "tokens", step, tokens: tokensOf(rows, vocabulary) });
    else input.send({ type: "hidden", step, hidden: hiddenRows(rows * hidden) });
    const { value } = await answers.next();
    if (value?.type === "failed") throw new Error(`Cannot measure the stage: ${value.reason}`);
    if (value === undefined) throw new Error("Cannot measure the stage: it ended");
    return performance.now() - begun;
  };
  let promptMillis = await run(0, rows);
  if (promptMillis < LONG_MILLIS) promptMillis = Math.min(promptMillis, await run(0, rows));
  const millis: number[] = [];
  for (let start = 0; start < Math.min(ROW_STEPS, rows); start++) millis.push(await run(start, 1));
  input.send({ type: "release", released: { slots: [0], snapshots: [] } });
  if (!last) await answers.next();
  return { rowMillis: Math.min(...millis), promptRows: rows * 1000 / promptMillis };
}

/** Different ones, so that they are spread over the experts. */
const tokensOf = (rows: number, vocabulary: number): Uint32Array =>
  Uint32Array.from({ length: rows }, (_, i) => (i * 977 + 5) % vocabulary);
