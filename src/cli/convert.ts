/** `ringlet convert`: writes a checkpoint with smaller weights. */
import { Command, Option } from "@commander-js/extra-typings";
import type { Host } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { bytes, withProgress } from "./progress.ts";

const help = `
The folder holds what --quantize would make of the model at every load, and its tokenizer. It appears when it is complete.

Example:
  ringlet convert --model Ring-mini-linear-2.0 --to q4 --out Ring-mini-linear-2.0-q4`;

export function convertCommand(host: Host) {
  return new Command("convert")
    .description("write a checkpoint with weights in 8 or 4 bits")
    .option("--model <dir>", "checkpoint to read (default: the embedded ring-nano)")
    .addOption(
      new Option("--to <kind>", "matrices in 8 bits (q8), or routed experts in 4 and the others in 8 (q4)")
        .choices(["q8", "q4"] as const).makeOptionMandatory(),
    )
    .requiredOption("--out <dir>", "folder to make")
    .option("--json", "print one JSON object instead")
    .addHelpText("after", help)
    .action(async ({ model = host.embeddedModel, to, out, json }) => {
      const converted = await interruptible((signal) =>
        withProgress(host.terminal, "Writing", (onProgress) => host.convert({ model, to, out, onProgress, signal }))
      );
      const { shards, sourceBytes, bytes: size } = converted;
      const text = `${out}: ${bytes(size)} in ${shards} ${shards === 1 ? "shard" : "shards"}, from ${
        bytes(sourceBytes)
      }`;
      host.terminal.write(`${json ? JSON.stringify({ out, ...converted }) : text}\n`);
    });
}
