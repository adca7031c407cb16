/** Compares a checkpoint with what a model expects of it, before anything is loaded. */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import { type BlockSize, SCALE_SUFFIXES, scaleGrid, weightType } from "./quantization.ts";
import type { Checkpoint } from "./safetensors.ts";

/** A tensor that a model needs. */
export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface CheckOptions {
  /** The configuration's `weight_block_size`. */
  readonly weightBlock: BlockSize;
  /** Whether a tensor that isn't expected is known to be of no use. Any other means that the model is a different one. */
  readonly isIgnored: (name: string) => boolean;
}

/**
 * Checks that every expected tensor is there with its shape, a type that can be read and scales that fit, and no other.
 * @throws {CheckpointError} for the first problem, with the number of the others
 */
export function checkTensors(checkpoint: Checkpoint, expected: Iterable<ExpectedTensor>, options: CheckOptions): void {
  let first: string | undefined;
  let others = 0;
  for (const problem of problems(checkpoint, expected, options)) {
    if (first === undefined) first = problem;
    else others++;
  }
  if (first === undefined) return;
  throw new CheckpointError(
    others === 0 ? first : `${first} (and ${others} more such problem${others > 1 ? "s" : ""})`,
  );
}

function* problems(
  checkpoint: Checkpoint,
  expected: Iterable<ExpectedTensor>,
  { weightBlock, isIgnored }: CheckOptions,
): Generator<string> {
  const unexpected = new Set(checkpoint.tensors.keys());
  for (const tensor of expected) {
    for (const suffix of ["", ...SCALE_SUFFIXES]) unexpected.delete(tensor.name + suffix);
    const problem = problemOf(checkpoint, tensor, weightBlock);
    if (problem !== null) yield problem;
  }
  for (const name of unexpected) {
    if (isIgnored(name)) continue;
    yield `Cannot use ${checkpoint.folder} as a checkpoint of its config.json: that does not describe tensor ${
      quoted(name)
    }`;
  }
}

function problemOf(checkpoint: Checkpoint, expected: ExpectedTensor, weightBlock: BlockSize): string | null {
  try {
    checkTensor(checkpoint, expected, weightBlock);
    return null;
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
}

function checkTensor(checkpoint: Checkpoint, { name, shape }: ExpectedTensor, weightBlock: BlockSize): void {
  const entry = checkpoint.entry(name);
  if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
    const sizes = `its shape is ${shown(entry.shape)}, and config.json asks for ${shown(shape)}`;
    throw new CheckpointError(`Cannot use tensor ${quoted(name)} of ${quoted(entry.shard)} as a weight: ${sizes}`);
  }
  if (weightType(entry) === "F8_E4M3") scaleGrid(checkpoint.tensors, entry, weightBlock);
}
