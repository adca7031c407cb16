/** Adapters of wgpu-native, opened once in a thread. */
import type { NamedAdapter } from "./provider.ts";
import { type WgpuAdapter, type WgpuBuffer, WgpuNative } from "./wgpu_native/mod.ts";

let opened: WgpuNative | null = null;

/** @throws {LibraryError} if there is no library, or not the right one */
function native(): WgpuNative {
  return opened ??= new WgpuNative();
}

/** For computing they are what the standard has; what only draws is missing. */
const standard = (adapter: WgpuAdapter) => adapter as unknown as GPUAdapter;

/** All adapters, each with the number that it is chosen by. */
// deno-lint-ignore require-await -- as other providers have it
export async function nativeAdapters(): Promise<NamedAdapter[]> {
  return native().adapters().map((adapter, i) => ({
    provider: `wgpu-native:${i}` as const,
    adapter: standard(adapter),
  }));
}

/**
 * The adapter of a number or a part of a name, the best one for "".
 * @throws {Deno.errors.NotFound} if there are adapters, but not that one
 */
export async function nativeAdapter(wanted: string): Promise<GPUAdapter | null> {
  if (wanted === "") {
    const best = await native().requestAdapter({ powerPreference: "high-performance" });
    return best && standard(best);
  }
  const all = native().adapters();
  const named = ({ info }: WgpuAdapter) => info.description.toLowerCase().includes(wanted.toLowerCase());
  const found = /^\d+$/.test(wanted) ? all[Number(wanted)] : all.find(named);
  if (found !== undefined) return standard(found);
  if (all.length === 0) return null;
  const names = all.map(({ info }, i) => `${i} (${info.description})`).join(", ");
  throw new Deno.errors.NotFound(`Cannot open wgpu-native:${wanted}: its adapters are ${names}`);
}

/** Waits for the submission that fills the buffer, and no later one: what is to follow may be submitted before. */
export function readNative(buffer: GPUBuffer, bytes: number, submit = () => {}): ArrayBuffer {
  submit();
  return (buffer as WgpuBuffer).readSync(bytes);
}
