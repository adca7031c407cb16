/** One stage at work: opens its model, runs the steps that come in, and hands the results on. */
import { DeviceLostError } from "../backend/backend.ts";
import { OutOfPagesError } from "../model/kv_cache.ts";
import type { Store } from "../pipeline/copies.ts";
import type { Link } from "../pipeline/link.ts";
import type { StageEvent, StageInfo, StageOptions } from "../pipeline/messages.ts";
import type { Candidates, FromStage, Released, Step, ToStage } from "../pipeline/steps.ts";

/** A model's layers `[start, end)` with their state. Whatever a method resolves to owns its buffers: they travel on. */
export interface StageModel {
  /** Whether the model's head is here, so that forward() gives candidates. */
  readonly last: boolean;
  /** Milliseconds that the device worked on the last step; null or nothing if they are not measured. */
  readonly gpuMillis?: number | null;
  /**
   * Lets the thread rest (backend.ts) before it keeps it.
   * @param input [T] token ids on the first stage, [T, H] hidden on the others.
   * @returns [T, H] hidden, or on the last stage the candidates of the step's output rows.
   */
  forward(step: Step, input: Uint32Array | Float32Array): Promise<Float32Array | Candidates>;
  /** Takes back pages that nobody wants any more. */
  release(released: Released): void;
  /** Copies to the host's memory what steps may load. */
  store(store: Store): Promise<void>;
  /** [R, V] whole logits of a step's output rows; on the last stage only, and if no more others have run since than logits are kept of. */
  logits(id: number): Promise<Float32Array>;
}

/** Opens a stage's model; `onProgress` hears how many bytes of its weights are loaded. */
export type OpenStageModel = (
  options: StageOptions,
  onProgress: (loadedBytes: number, totalBytes: number) => void,
) => Promise<{ readonly model: StageModel & Disposable; readonly info: StageInfo }>;

export type StageInput = Link<ToStage, never>;
export type StageOutput = Link<never, ToStage | FromStage>;

/** Serves one stage until either link ends. `report` hears how opening goes and, at any time, what ended the stage. */
export async function serveStage(
  open: OpenStageModel,
  options: StageOptions,
  input: StageInput,
  output: StageOutput,
  report: (event: StageEvent) => void,
): Promise<void> {
  using _input = input;
  using _output = output;
  try {
    const { model, info } = await open(
      options,
      (loadedBytes, totalBytes) => report({ type: "loading", loadedBytes, totalBytes }),
    );
    using _model = model;
    report({ type: "opened", info });
    await runStage(model, input, output);
  } catch (error) {
    report({ type: "failed", reason: reasonOf(error) });
  }
}

/**
 * The loop of one stage, until `input` ends: a message after the other, but for steps that follow one which is still under way. A step
 * that fails here is failed for good: its message travels through the later stages to the engine, and the loop goes on.
 * @throws DeviceLostError if the model does.
 */
export async function runStage(model: StageModel, input: StageInput, output: StageOutput): Promise<void> {
  let lost: DeviceLostError | null = null;
  const serve = async (message: Question, before: Promise<void>) => {
    const reply = answer(model, message).then(
      (sent) => ({ sent, error: null }),
      (error) => ({ sent: failureOf(message, error), error }),
    );
    await before;
    const { sent, error } = await reply;
    output.send(sent);
    if (error instanceof DeviceLostError) {
      lost = error;
      input[Symbol.dispose]();
    }
  };
  let before = Promise.resolve();
  for await (const message of input) {
    if (message.type === "cancel") {
      if (!model.last) output.send(message); // what waits here cannot be taken out
      continue;
    }
    if (!("step" in message && message.step.follows)) await before;
    if (lost) break;
    if (message.type !== "release") before = serve(message, before);
    else {
      model.release(message.released);
      if (!model.last) output.send(message);
    }
  }
  await before;
  if (lost) throw lost;
}

type Question = Exclude<ToStage, { type: "release" | "cancel" }>;

async function answer(model: StageModel, message: Question): Promise<ToStage | FromStage> {
  switch (message.type) {
    case "tokens":
      return stepResult(message.step, await model.forward(message.step, message.tokens), model.gpuMillis ?? null);
    case "hidden": {
      const result = await model.forward(message.step, message.hidden);
      return stepResult(message.step, result, add(model.gpuMillis ?? null, message.gpuMillis ?? null));
    }
    case "logits":
      if (!model.last) return message;
      return { type: "logits", id: message.id, logits: await model.logits(message.id) };
    case "store":
      await model.store(message.store);
      return model.last ? { type: "stored", id: message.id } : message;
    case "failed":
      return message;
    default:
      return message satisfies never;
  }
}

function stepResult(step: Step, result: Float32Array | Candidates, gpuMillis: number | null): ToStage | FromStage {
  const measured = gpuMillis === null ? {} : { gpuMillis };
  return result instanceof Float32Array
    ? { type: "hidden", step, hidden: result, ...measured }
    : { type: "candidates", id: step.id, candidates: { ...result, ...measured } };
}

/** A sum of which a part may not be known. */
const add = (a: number | null, b: number | null) => a === null ? b : a + (b ?? 0);

function failureOf(message: Question, error: unknown): FromStage {
  const pages = error instanceof OutOfPagesError ? { pages: error.pages } : {};
  return { type: "failed", id: stepOf(message), reason: reasonOf(error), ...pages };
}

function stepOf(message: Question): number {
  return "step" in message ? message.step.id : message.id;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
