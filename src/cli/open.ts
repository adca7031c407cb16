/** Opens the model that a command's flags name, and shows how far it is. */
import type { LoadOptions } from "../mod.ts";
import type { Host, Model } from "./host.ts";
import { withProgress } from "./progress.ts";
import { tellSplit } from "./split.ts";

export async function openModel(host: Host, options: LoadOptions): Promise<Model> {
  const { terminal } = host;
  const onSplit = tellSplit(terminal);
  return await withProgress(terminal, "Loading", (onProgress) => host.load({ ...options, onProgress, onSplit }));
}
