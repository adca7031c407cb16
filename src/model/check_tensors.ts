/** Compares a checkpoint with what its configuration asks for, before anything is loaded. */
import { CheckpointError, quoted, shown } from "../formats/checkpoint_error.ts";
import { packedNames } from "../formats/packed.ts";
import { SCALE_SUFFIXES } from "../formats/quantization.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import { FACTORS_SUFFIX } from "../formats/stored_groups.ts";
import { storedWeight } from "../formats/stored_weight.ts";
import type { ModelConfig } from "./config.ts";
import { expectedTensors, isIgnoredTensor, type NamedShape } from "./tensor_names.ts";

/**
 * Checks that every tensor of the model is there with its shape, a type that can be read and scales that fit, and that
 * there is no other: one too many means that config.json describes a different model.
 * @throws {CheckpointError} for the first problem, with the number of the others
 */
export function checkTensors(checkpoint: Checkpoint, config: ModelConfig): void {
  let first: string | undefined;
  let others = 0;
  for (const problem of problems(checkpoint, config)) {
    if (first === undefined) first = problem;
    else others++;
  }
  if (first === undefined) return;
  throw new CheckpointError(
    others === 0 ? first : `${first} (and ${others} more such problem${others > 1 ? "s" : ""})`,
  );
}

function* problems(checkpoint: Checkpoint, config: ModelConfig): Generator<string> {
  const unexpected = new Set(checkpoint.tensors.keys());
  for (const tensor of expectedTensors(config)) {
    for (const suffix of ["", ...SCALE_SUFFIXES, FACTORS_SUFFIX]) unexpected.delete(tensor.name + suffix);
    for (const name of packedNames(tensor.name)) unexpected.delete(name);
    const problem = problemOf(checkpoint, tensor, config);
    if (problem !== null) yield problem;
  }
  for (const name of unexpected) {
    if (isIgnoredTensor(config, name)) continue;
    yield `Cannot use ${checkpoint.folder} as a checkpoint of its config.json: that does not describe tensor ${
      quoted(name)
    }`;
  }
}

function problemOf(checkpoint: Checkpoint, expected: NamedShape, config: ModelConfig): string | null {
  try {
    checkTensor(checkpoint, expected, config);
    return null;
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
}

function checkTensor(checkpoint: Checkpoint, { name, shape }: NamedShape, config: ModelConfig): void {
  const stored = storedWeight(checkpoint, name, config.weightBlock);
  if (stored.shape.length === shape.length && stored.shape.every((size, axis) => size === shape[axis])) return;
  const sizes = `its shape is ${shown(stored.shape)}, and config.json asks for ${shown(shape)}`;
  const { shard } = stored.entries[0]!;
  throw new CheckpointError(`Cannot use tensor ${quoted(name)} of ${quoted(shard)} as a weight: ${sizes}`);
}
