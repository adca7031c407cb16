/** The C library for tests, which are skipped with a reason where it is not. */
import { WgpuNative, type WgpuNativeOptions } from "../../../src/backend/webgpu/wgpu_native/mod.ts";
import { openProvider } from "../../../src/backend/webgpu/provider.ts";

/** Why there is none, in one sentence; null if there is one. */
export const MISSING = await (async () => {
  try {
    return await openProvider("wgpu-native").adapter() === null ? "wgpu-native has no adapter here" : null;
  } catch (error) {
    return (error as Error).message;
  }
})();

/** Declares a test that needs the library and an adapter, software ones included, and nothing that is `missing`. */
export function testOnNative(name: string, fn: () => Promise<void>, missing: string | null = null): void {
  const reason = MISSING ?? missing;
  Deno.test({ name: reason === null ? name : `${name} (skipped: ${reason})`, ignore: reason !== null, fn });
}

/** The library anew, to be disposed of. */
export function openNative(options: WgpuNativeOptions = {}): WgpuNative {
  return new WgpuNative(options);
}
