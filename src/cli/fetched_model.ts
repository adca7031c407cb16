/** `--model nats:NAME`: a model that the broker hands out, fetched into the user's cache where it is not there already. */
import { basename } from "node:path";
import type { Host } from "./host.ts";
import { type NatsFlags, toNatsOptions } from "./nats_flags.ts";
import { withProgress } from "./progress.ts";

const SCHEME = "nats:";

/** The folder of what a stage with these layers, or a server with none, needs of the model; any other `--model` is one as it stands. */
export async function fetchedModel(
  { terminal, fetchModel }: Host,
  flags: NatsFlags & { readonly model?: string },
  layers: string | null,
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
    (onProgress) => fetchModel({ nats, layers, name, onProgress, signal }),
  );
}

/** As those who ask for the model call it. */
export function modelName(model: string): string {
  return basename(model.startsWith(SCHEME) ? model.slice(SCHEME.length) : model);
}
