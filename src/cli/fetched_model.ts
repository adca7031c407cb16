/** `--model nats:NAME`: a model that the broker hands out, fetched into the user's cache where it is not there already. */
import type { StageInfo } from "../mod.ts";
import type { Host } from "./host.ts";
import { type NatsFlags, toNatsOptions } from "./nats_flags.ts";
import { withProgress } from "./progress.ts";

const SCHEME = "nats:";

/** The folder of what a server, or a stage with these layers, needs of the model; any other `--model` is one as it stands. */
export async function fetchedModel(
  { terminal, fetchModel }: Host,
  flags: NatsFlags & { readonly model?: string },
  of: "server" | StageInfo["layers"],
  signal: AbortSignal,
): Promise<string | undefined> {
  const { model } = flags;
  if (!model?.startsWith(SCHEME)) return model;
  const nats = toNatsOptions(flags);
  if (nats === null) throw new RangeError(`Cannot fetch ${model} without a broker: give its address with --nats`);
  const name = model.slice(SCHEME.length);
  return await withProgress(
    terminal,
    "Fetching",
    (onProgress) => fetchModel({ nats, of, name, onProgress, signal }),
  );
}
