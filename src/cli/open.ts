/** Opens the model that a command's flags name, and shows how far it is. */
import type { DeviceChoice, LoadOptions } from "../mod.ts";
import { settleDevice } from "./device.ts";
import type { Host, Model } from "./host.ts";
import { withProgress } from "./progress.ts";
import { tellSplit } from "./split.ts";

/** `onChoice` hears who computes before the weights are read, which in a pool others do. */
export async function openModel(
  host: Host,
  options: LoadOptions,
  onChoice: (choice: DeviceChoice) => void = () => {},
): Promise<Model> {
  if (options.pool) return await host.load(options);
  const choice = await settleDevice(host, options);
  onChoice(choice);
  const { backend, gpu } = choice;
  const settled = { ...options, backend, gpu, onSplit: tellSplit(host.terminal) };
  return await withProgress(host.terminal, "Loading", (onProgress) => host.load({ ...settled, onProgress }));
}
