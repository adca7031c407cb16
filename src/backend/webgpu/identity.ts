/** What a measurement is of: a device and the kernels on it. */
import { SOURCES } from "../../../shaders/mod.ts";
import type { GpuProvider } from "../../pipeline/messages.ts";
import { adapterName } from "./adapters.ts";
import { openProvider } from "./provider.ts";

export interface DeviceKey {
  /** All that the adapter tells of itself and its driver. */
  readonly device: string;
  /** Changes with any text of a kernel. */
  readonly kernels: string;
}

/** The device that {@linkcode Device.open} would open; null where there is none. */
export async function deviceKey(provider: GpuProvider): Promise<DeviceKey | null> {
  const device = await deviceIdentity(provider);
  return device === null ? null : { device, kernels: await kernelsHash() };
}

/** All that the adapter tells of itself and its driver; null where there is none. */
export async function deviceIdentity(provider: GpuProvider): Promise<string | null> {
  const adapter = await openProvider(provider).adapter();
  if (!adapter) return null;
  const { vendor, architecture, device, description } = adapter.info;
  const name = adapterName(adapter.info);
  const driver = description === name ? "" : description;
  const details = [vendor, architecture, device, driver].filter((detail) => detail !== "");
  const [kind] = provider.split(":"); // equal adapters are alike
  return `${kind}: ${name} (${details.join(" ")})`;
}

/** Changes with any text of a kernel. */
export async function kernelsHash(): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(SOURCES.join("\0")));
  return new Uint8Array(digest, 0, 8).toHex();
}
