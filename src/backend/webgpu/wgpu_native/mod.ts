/** WebGPU for computing, through the C library wgpu-native: `ringlet/wgpu-native`. */
export { WgpuAdapter } from "./adapter.ts";
export type { AdapterInfo } from "./adapter_info.ts";
export { WgpuBuffer } from "./buffer.ts";
export { WgpuDevice } from "./device.ts";
export { WgpuNative, type WgpuNativeOptions } from "./instance.ts";
export { LibraryError } from "../libraries/library_error.ts";
export type { WgpuQueue } from "./queue.ts";
export { findLibrary, installedLibrary } from "./find.ts";
export type { Installation } from "../libraries/pinned.ts";
export { install, plannedInstallation } from "./install.ts";
