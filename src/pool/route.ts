/** A way through a pool, and how it is given up when it does not answer as it must. */
import { type Pipeline, StepError } from "../pipeline/pipeline.ts";
import { FrameError } from "../wire/frame_error.ts";

/** A way through stages that have all layers. */
export interface Route {
  readonly pipeline: Pick<Pipeline, "run" | "release" | "cancel" | "logits" | "broken" | "break">;
  /** Their ids: routes may share some. */
  readonly stages: readonly string[];
  /** Milliseconds after which the route is given up if a step of so many rows has not come through, with those before it. */
  deadline(rows: number): number;
}

/** What a route answers; where it is too late the route is given up, and whatever it fails with then is a loss. */
export async function inTime<T>({ pipeline }: Route, millis: number, asked: Promise<T>): Promise<T> {
  const late = setTimeout(() => pipeline.break(`a step took longer than ${Math.round(millis / 1000)} s`), millis);
  try {
    return await asked;
  } catch (error) {
    if (!pipeline.broken.aborted) throw error;
    throw new StepError({ reason: pipeline.broken.reason.message, lost: true });
  } finally {
    clearTimeout(late);
  }
}

/** A route whose answers do not fit what was asked is given up. */
export function check({ pipeline }: Route, fits: () => void): void {
  try {
    fits();
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    pipeline.break(error.message);
    throw new StepError({ reason: error.message, lost: true });
  }
}
