/** Opens the model that a command's flags name, and shows how far it is. */
import type { LoadOptions } from "../mod.ts";
import type { Host, Model } from "./host.ts";
import { withProgress } from "./progress.ts";

export async function openModel(host: Host, options: LoadOptions): Promise<Model> {
  return await withProgress(host.terminal, "Loading", (onProgress) => host.load({ ...options, onProgress }));
}
