/** Which files of a folder belong to a checkpoint. */
import { openCheckpoint } from "../formats/safetensors.ts";
import { checkTensors } from "../model/check_tensors.ts";
import { loadConfig } from "../model/load_config.ts";

/** What belongs to a model besides its weights: configuration, tokenizer, template, the index of its shards, its licence. */
const COMPANION = /^[^.].*\.(json|jinja|txt|model)$|^LICENSE/;

/**
 * Names of the files that a model needs on another computer; the weights last.
 * @throws {CheckpointError} if the checkpoint is not whole
 */
export async function checkpointFiles(model: string): Promise<string[]> {
  const config = await loadConfig(model);
  using checkpoint = await openCheckpoint(model);
  checkTensors(checkpoint, config);
  const companions: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(model)) {
    if (!isDirectory && COMPANION.test(name)) companions.push(name);
  }
  return [...companions.toSorted(), ...checkpoint.shards.toSorted()];
}
