/** What stages on several hosts do in tokens a second, from a few figures of the stages and of what lies between them: arithmetic alone. */
import type { Activations } from "../../src/wire/room.ts";

/** Between two hosts, one way. */
export interface Hop {
  /** Of a small frame, from when it is sent until the other side has it. */
  readonly millis: number;
  readonly bytesPerSecond: number;
}

export interface Pipeline {
  /** Milliseconds of a step of so many rows, for each stage, from its frame until its own is sent. */
  readonly stages: readonly ((rows: number) => number)[];
  /** There is one more than there are stages, the server at both ends. */
  readonly hop: Hop;
  /** What a row takes between two stages. */
  readonly rowBytes: number;
  /** Milliseconds of the server between a step's results and the next step of the same sequences. */
  readonly serverMillis: number;
}

/** What a token's hidden row takes between two stages, without the frame around a step. */
export const rowBytes = (hidden: number, activations: Activations): number => hidden * (activations === "f32" ? 4 : 2);

const transferMillis = ({ hop, rowBytes }: Pipeline, rows: number): number =>
  1e3 * rows * rowBytes / hop.bytesPerSecond;

/** From the server through all stages and back: what one token of a sequence takes, if it need not wait for others. */
export function tripMillis(pipeline: Pipeline, rows: number): number {
  const { stages, hop, serverMillis } = pipeline;
  const computing = stages.reduce((sum, millis) => sum + millis(rows), 0);
  return serverMillis + computing + (stages.length + 1) * hop.millis +
    (stages.length - 1) * transferMillis(pipeline, rows);
}

/** What a step occupies for the longest time: a stage, or the line between two. The next step can be there only when this one has left. */
export function busiestMillis(pipeline: Pipeline, rows: number): number {
  return Math.max(...pipeline.stages.map((millis) => millis(rows)), transferMillis(pipeline, rows));
}

/** Tokens a second of all streams together, whose rows are in as many steps as there are stages. */
export function decodeRate(pipeline: Pipeline, streams: number): number {
  const steps = Math.min(streams, pipeline.stages.length);
  const rows = streams / steps;
  return 1e3 * streams / Math.max(tripMillis(pipeline, rows), steps * busiestMillis(pipeline, rows));
}

/** Milliseconds until a prompt is read: its chunks follow each other through the stages. */
export function promptMillis(pipeline: Pipeline, tokens: number, chunk: number): number {
  const rows = Math.min(tokens, chunk);
  return tripMillis(pipeline, rows) + (Math.ceil(tokens / chunk) - 1) * busiestMillis(pipeline, rows);
}
