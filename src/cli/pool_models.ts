/** `ringlet pool push` and `ringlet pool models`: handing out models by way of the broker. */
import { Command } from "@commander-js/extra-typings";
import type { NatsOptions } from "../mod.ts";
import type { Host } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { type NatsFlags, natsFlags, toNatsOptions } from "./nats_flags.ts";
import { table } from "./pool_table.ts";
import { bytes, withProgress } from "./progress.ts";

const pushHelp = `
The model's files go to the broker's disk, in pieces whose sha256 its manifest tells. It appears when all of it is there, in
place of an older one of its name; stages and servers take it with --model nats:NAME.

Example:
  ringlet pool push --nats nats://broker --model /models/Ring-mini-linear-2.0 --name ring-mini`;

export function pushCommand({ terminal, pushModel }: Host) {
  return natsFlags(new Command("push"))
    .description("put a model into the broker's store")
    .requiredOption("--model <dir>", "checkpoint")
    .requiredOption("--name <name>", "what it is called there")
    .addHelpText("after", pushHelp)
    .action(async ({ model, name, ...flags }) => {
      const nats = brokerOf(flags);
      const stored = await interruptible((signal) =>
        withProgress(terminal, "Pushing", (onProgress) => pushModel({ nats, model, name, onProgress, signal }))
      );
      terminal.write(`nats:${stored.name}: ${stored.files} files, ${bytes(stored.bytes)}\n`);
    });
}

export function modelsCommand({ terminal, storedModels }: Host) {
  return natsFlags(new Command("models"))
    .description("list the models of the broker's store")
    .option("--json", "print one JSON array instead")
    .action(async ({ json, ...flags }) => {
      const models = await storedModels(brokerOf(flags));
      if (json) return terminal.write(`${JSON.stringify(models, null, 2)}\n`);
      const rows = models.map(({ name, files, bytes: size, pushed }) => [
        ...[`nats:${name}`, `${files}`, bytes(size), pushed.slice(0, 16).replace("T", " ")],
      ]);
      const lines = table(["model", "files", "size", "pushed (UTC)"], rows, new Set(["files", "size"]));
      terminal.write(`${lines.length > 0 ? lines.join("\n") : "there are no models"}\n`);
    });
}

/** @throws {RangeError} if the flags name none */
export function brokerOf(flags: NatsFlags): NatsOptions {
  const nats = toNatsOptions(flags);
  if (nats === null) throw new RangeError("Cannot reach a pool without its broker: give its address with --nats");
  return nats;
}
