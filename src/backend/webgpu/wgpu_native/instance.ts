/** The C library as a GPU: its adapters, and the end of all that was made with it. */
import { type Shared, WgpuAdapter } from "./adapter.ts";
import { CallbackTable } from "./callbacks.ts";
import { findLibrary } from "./find.ts";
import { Handles } from "./handles.ts";
import { Library } from "./library.ts";
import { Scratch } from "./scratch.ts";
import { ENUMS, STRUCTS } from "./webgpu_h.ts";

const { InstanceBackend, InstanceFlag, PowerPreference } = ENUMS;

export interface WgpuNativeOptions {
  /** The library's file; what {@linkcode findLibrary} finds, if left out. */
  readonly path?: string;
  /** Have the system's validation layers look at every call, where they are installed. */
  readonly validation?: boolean;
  /** Hears the warnings and errors that the library logs, of which there is one log in a process. */
  readonly onLog?: (level: "error" | "warning", message: string) => void;
}

/** As the standard's GPU, and {@linkcode adapters}. Disposing of it destroys its devices. */
export class WgpuNative implements Disposable {
  /** Of the library. */
  readonly version: string;
  readonly #library: Library;
  readonly #shared: Shared;
  readonly #pointer: Deno.PointerValue;
  #open = true;

  /**
   * Opens the library.
   * @throws {LibraryError} if there is none, or not the one that the bindings are made for
   */
  constructor({ path = findLibrary(), validation = false, onLog }: WgpuNativeOptions = {}) {
    this.#library = new Library(path);
    const { symbols, version } = this.#library;
    this.version = version;
    const handles = new Handles();
    this.#shared = {
      symbols,
      callbacks: new CallbackTable(),
      devices: new Set(),
      handles,
      subgroups: new Map(),
      unsubmitted: null,
      commandBuffers: () => this.report().commandBuffers!,
    };
    if (onLog) this.#listen(onLog);
    const scratch = new Scratch();
    const flags = validation ? InstanceFlag.Debug | InstanceFlag.Validation : InstanceFlag.Empty;
    // Vulkan, Metal and D3D12: an adapter of OpenGL would be one of these again, or too little to compute with.
    const extras = { "chain.sType": ENUMS.NativeSType.InstanceExtras, backends: InstanceBackend.Primary, flags };
    const nextInChain = scratch.struct<"InstanceExtras">(STRUCTS.InstanceExtras, extras);
    this.#pointer = symbols.wgpuCreateInstance(scratch.descriptor(STRUCTS.InstanceDescriptor, { nextInChain }));
  }

  /** The adapter that suits best; null if there is none. */
  // deno-lint-ignore require-await -- the library answers at once
  async requestAdapter(options: GPURequestAdapterOptions = {}): Promise<WgpuAdapter | null> {
    const { powerPreference, forceFallbackAdapter = false } = options;
    const { symbols, callbacks } = this.#shared;
    const preference = { "low-power": PowerPreference.LowPower, "high-performance": PowerPreference.HighPerformance };
    const descriptor = new Scratch().descriptor(STRUCTS.RequestAdapterOptions, {
      powerPreference: powerPreference ? preference[powerPreference] : PowerPreference.Undefined,
      forceFallbackAdapter: Number(forceFallbackAdapter),
    });
    const [, pointer] = callbacks.now("RequestAdapterCallback", (info) => {
      symbols.wgpuInstanceRequestAdapter(this.#pointer, descriptor, info);
    });
    return pointer === null ? null : new WgpuAdapter(this.#shared, pointer);
  }

  /** All adapters, in the library's order, which is the same each time. Not in the standard. */
  adapters(): WgpuAdapter[] {
    const { symbols } = this.#shared;
    const count = Number(symbols.wgpuInstanceEnumerateAdapters(this.#pointer, null, null));
    if (count === 0) return [];
    const pointers = new BigUint64Array(count);
    symbols.wgpuInstanceEnumerateAdapters(this.#pointer, null, pointers);
    return [...pointers].map((each) => new WgpuAdapter(this.#shared, Deno.UnsafePointer.create(each)));
  }

  /** Objects of each kind that the library holds, those that it made for itself included. */
  report(): Record<string, number> {
    const bytes = new Uint8Array(STRUCTS.GlobalReport.size);
    this.#shared.symbols.wgpuGenerateReport(this.#pointer, bytes);
    const view = new DataView(bytes.buffer);
    return Object.fromEntries(
      Object.entries(STRUCTS.GlobalReport.fields).flatMap(([name, [offset]]) => {
        const [, kind] = /^hub\.(\w+)\.numKeptFromUser$/.exec(name) ?? [];
        return kind === undefined ? [] : [[kind, Number(view.getBigUint64(offset, true))]];
      }),
    );
  }

  #listen(onLog: NonNullable<WgpuNativeOptions["onLog"]>): void {
    const { symbols, callbacks } = this.#shared;
    const id = callbacks.register((level, _, message) => {
      onLog(level === ENUMS.LogLevel.Error ? "error" : "warning", message);
    });
    symbols.wgpuSetLogCallback(callbacks.pointer("LogCallback"), Deno.UnsafePointer.create(BigInt(id)));
    symbols.wgpuSetLogLevel(ENUMS.LogLevel.Warn);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#shared.symbols.wgpuSetLogLevel(ENUMS.LogLevel.Off);
    for (const device of [...this.#shared.devices]) device.destroy();
    this.#shared.handles.releaseAll();
    this.#shared.symbols.wgpuInstanceRelease(this.#pointer);
    this.#shared.callbacks[Symbol.dispose]();
    this.#library[Symbol.dispose]();
  }
}
