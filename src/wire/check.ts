/** What is well-formed must also fit: whoever speaks for a neighbour cannot make a stage, or the server, reach beyond what it has. */
import {
  type Candidates,
  type FromStage,
  mostOutputs,
  type Released,
  type Segment,
  type Step,
  type ToStage,
} from "../pipeline/steps.ts";
import { FrameError } from "./frame_error.ts";
import type { Room } from "./room.ts";

/** What a timer can wait for. */
const MOST_MILLIS = 2 ** 31 - 1;

/** @throws {FrameError} for what a stage with such an input has no room for. */
export function checkToStage(message: ToStage, input: "tokens" | "hidden", room: Room): void {
  switch (message.type) {
    case "tokens":
      if (input === "hidden") refuse("token ids came where hidden rows are wanted");
      checkStep(message.step, message.tokens.length, room);
      return checkBelow("token", message.tokens, room.vocabulary);
    case "hidden":
      if (input === "tokens") refuse("hidden rows came where token ids are wanted");
      return checkStep(message.step, message.hidden.length / room.hidden, room);
    case "release":
      return checkReleased(message.released, room);
  }
}

/** @throws {FrameError} for what is the answer to no step of a server with this room. */
export function checkFromStage(message: FromStage, { vocabulary, maxRows }: Room): void {
  const rows = rowsOf(message, vocabulary);
  if (!Number.isInteger(rows)) refuse(`${rows} rows of logits came`);
  checkMost("output", rows, mostOutputs(vocabulary, maxRows));
  if (message.type === "candidates") checkCandidates(message.candidates, vocabulary);
}

/**
 * @param outputs of the step that it answers
 * @throws {FrameError} if it has more rows, or fewer.
 */
export function checkAnswer(message: FromStage, outputs: number, { vocabulary }: Pick<Room, "vocabulary">): void {
  const rows = rowsOf(message, vocabulary);
  if (message.type === "failed" || rows === outputs) return;
  refuse(`${rows} rows came of step ${message.id}, which has ${outputs} outputs`);
}

function rowsOf(message: FromStage, vocabulary: number): number {
  if (message.type === "candidates") return message.candidates.logSumExp.length;
  return message.type === "logits" ? message.logits.length / vocabulary : 0;
}

/** Logits may be NaN or infinite, as they are where weights or a device are faulty: the sampler refuses such a row, and only that. */
function checkCandidates({ perRow, ids, logits, logSumExp }: Candidates, vocabulary: number): void {
  checkMost("candidate", perRow, vocabulary);
  const count = logSumExp.length * perRow;
  if (ids.length !== count || logits.length !== count) {
    refuse(`${ids.length} ids and ${logits.length} logits came of ${logSumExp.length} rows of ${perRow} candidates`);
  }
  checkBelow("token", ids, vocabulary);
}

function checkStep({ segments, outputs, deadline = 0 }: Step, rows: number, room: Room): void {
  for (const segment of segments) checkSegment(segment, room);
  checkDifferent("slot", segments.map(({ slot }) => slot));
  checkSnapshots(segments, room);
  const wanted = segments.reduce((sum, { rows }) => sum + rows, 0);
  if (rows !== wanted) refuse(`${rows} rows came for segments of ${wanted}`);
  if (rows === 0) refuse("a step without rows came");
  checkMost("row", rows, room.maxRows);
  checkMost("output", outputs.length, mostOutputs(room.vocabulary, room.maxRows));
  checkBelow("output", outputs, rows);
  if (outputs.some((row, i) => i > 0 && row <= outputs[i - 1]!)) refuse("outputs came that do not rise");
  if (deadline > MOST_MILLIS) refuse(`a deadline came that is ${deadline} ms away`);
}

function checkSegment({ slot, start, rows }: Segment, { slots, context }: Room): void {
  checkBelow("slot", [slot], slots);
  if (rows === 0) refuse(`no rows came for slot ${slot}`);
  checkMost("position", start + rows, context);
}

function checkSnapshots(segments: readonly Segment[], { snapshots }: Room): void {
  const there = (snapshot: number | undefined) => snapshot !== undefined;
  const kept = segments.flatMap(({ before, keep }) => [before, keep]).filter(there);
  checkBelow("snapshot", kept, snapshots);
  checkBelow("snapshot", segments.map(({ from }) => from).filter(there), snapshots);
  checkDifferent("snapshot", kept);
}

function checkReleased(released: Released, { slots, snapshots }: Room): void {
  checkBelow("slot", released.slots, slots);
  checkBelow("snapshot", released.snapshots, snapshots);
  checkDifferent("slot", released.slots);
  checkDifferent("snapshot", released.snapshots);
}

function checkBelow(what: string, values: Iterable<number>, count: number): void {
  for (const value of values) if (value >= count) refuse(`${what} ${value} came where there are ${count} of them`);
}

function checkMost(what: string, count: number, most: number): void {
  if (count > most) refuse(`${count} ${what}s came where ${most} are the most`);
}

function checkDifferent(what: string, values: readonly number[]): void {
  if (new Set(values).size < values.length) refuse(`one ${what} came twice`);
}

function refuse(reason: string): never {
  throw new FrameError(`Cannot take a frame: ${reason}`);
}
