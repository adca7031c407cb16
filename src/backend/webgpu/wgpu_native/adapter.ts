/** Adapters: what there is to compute on. */
import { type AdapterInfo, type LimitName, LIMITS, readFeatures, readInfo, readLimits } from "./adapter_info.ts";
import type { CallbackTable } from "./callbacks.ts";
import { WgpuDevice } from "./device.ts";
import type { Handle, Handles } from "./handles.ts";
import type { Symbols } from "./library.ts";
import { Scratch } from "./scratch.ts";
import { measureSubgroups, type SubgroupSizes } from "./subgroups.ts";
import { Unsubmitted } from "./unsubmitted.ts";
import { ENUMS, FEATURES, STRUCTS } from "./webgpu_h.ts";

/** What adapters share. */
export interface Shared {
  readonly symbols: Symbols;
  readonly callbacks: CallbackTable;
  readonly devices: Set<WgpuDevice>;
  readonly handles: Handles;
  /** Measured once for each adapter. */
  readonly subgroups: Map<string, SubgroupSizes>;
  /** Found out on the first device. */
  unsubmitted: Unsubmitted | null;
  /** Command buffers that the library holds. */
  readonly commandBuffers: () => number;
}

/** As the standard's GPUAdapter. Any number of devices can be made of one. */
export class WgpuAdapter {
  readonly info: AdapterInfo;
  readonly features: ReadonlySet<string>;
  readonly limits: GPUSupportedLimits;
  readonly #shared: Shared;
  readonly #handle: Handle;

  constructor(shared: Shared, pointer: Deno.PointerValue) {
    const { symbols } = shared;
    this.#shared = shared;
    this.#handle = shared.handles.adopt(this, pointer, symbols.wgpuAdapterRelease);
    this.info = readInfo(symbols, pointer);
    this.features = readFeatures(symbols, (into) => symbols.wgpuAdapterGetFeatures(pointer, into));
    this.limits = readLimits((into) => symbols.wgpuAdapterGetLimits(pointer, into));
  }

  /**
   * @throws {TypeError} if it has not all those features
   * @throws {DOMException} if it refuses
   */
  // deno-lint-ignore require-await -- the library answers at once
  async requestDevice(descriptor: GPUDeviceDescriptor = {}): Promise<WgpuDevice> {
    return this.#open(descriptor, this.#subgroups());
  }

  /** The library tells no sizes of subgroups, so a shader does. */
  #subgroups(): SubgroupSizes | null {
    const { subgroups } = this.#shared;
    if (!this.features.has("subgroups") || this.info.subgroupMinSize > 0) return null;
    const { description, device, driver } = this.info;
    const key = [description, device, driver].join();
    const known = subgroups.get(key);
    if (known !== undefined) return known;
    using probe = this.#open({ requiredFeatures: ["subgroups" as GPUFeatureName] }, null);
    const sizes = measureSubgroups(probe, Number(this.info.vendor));
    subgroups.set(key, sizes);
    return sizes;
  }

  #open({ label = "", requiredFeatures = [], requiredLimits = {} }: GPUDeviceDescriptor, sizes: SubgroupSizes | null) {
    if (this.#handle.pointer === null) throw new TypeError("Cannot open a device: its WgpuNative was disposed of");
    const { symbols, callbacks, devices } = this.#shared;
    const features = [...requiredFeatures].map((name) => this.#feature(name));
    let device: WgpuDevice | null = null;
    const heard = [
      callbacks.register((type, _, message) => device?.heardError(type, message)),
      callbacks.register((_reason, _, message) => device?.heardLoss(message)),
    ] as const;
    const descriptor = this.#describe(label, features, requiredLimits, heard);
    const [, pointer, message] = callbacks.now("RequestDeviceCallback", (info) => {
      symbols.wgpuAdapterRequestDevice(this.#handle.pointer, descriptor, info);
    });
    if (pointer === null) {
      for (const id of heard) callbacks.forget(id);
      throw new DOMException(`Cannot open ${this.info.description}: ${message.trim()}`, "OperationError");
    }
    this.#shared.unsubmitted ??= Unsubmitted.find(symbols, pointer, this.#shared.commandBuffers);
    device = new WgpuDevice({
      ...{ symbols, callbacks, pointer, label, unsubmitted: this.#shared.unsubmitted },
      adapterInfo: { ...this.info, ...sizes },
      features: readFeatures(symbols, (into) => symbols.wgpuDeviceGetFeatures(pointer, into)),
      limits: readLimits((into) => symbols.wgpuDeviceGetLimits(pointer, into)),
      closed: (closed) => devices.delete(closed),
    }, heard);
    devices.add(device);
    return device;
  }

  #feature(name: string): number {
    if (this.features.has(name)) return FEATURES[name as keyof typeof FEATURES];
    throw new TypeError(`Cannot open ${this.info.description}: it has no feature "${name}"`);
  }

  #describe(
    label: string,
    features: readonly number[],
    limits: Readonly<Record<string, number | undefined>>,
    [error, lost]: readonly [number, number],
  ): Uint8Array<ArrayBuffer> {
    const { callbacks } = this.#shared;
    const scratch = new Scratch();
    return scratch.descriptor(STRUCTS.DeviceDescriptor, {
      label,
      requiredFeatureCount: features.length,
      requiredFeatures: scratch.numbers(features),
      requiredLimits: scratch.struct<"Limits">(STRUCTS.Limits, this.#limits(limits)),
      "deviceLostCallbackInfo.mode": ENUMS.CallbackMode.AllowSpontaneous,
      "deviceLostCallbackInfo.callback": callbacks.pointer("DeviceLostCallback"),
      "deviceLostCallbackInfo.userdata1": lost,
      "uncapturedErrorCallbackInfo.callback": callbacks.pointer("UncapturedErrorCallback"),
      "uncapturedErrorCallbackInfo.userdata1": error,
    });
  }

  /** @throws {DOMException} for what the adapter has not */
  #limits(wanted: Readonly<Record<string, number | undefined>>): Partial<Record<LimitName, number>> {
    const has = this.limits as unknown as Readonly<Record<string, number>>;
    for (const [name, value] of Object.entries(wanted)) {
      const most = has[name];
      if (value === undefined || (most !== undefined && (name.startsWith("min") ? value >= most : value <= most))) {
        continue;
      }
      const reason = most === undefined ? "there is no such limit" : `it has ${most}`;
      throw new DOMException(`Cannot open ${this.info.description} with ${name} ${value}: ${reason}`, "OperationError");
    }
    return Object.fromEntries(LIMITS.map(([name]) => [name, wanted[name] ?? Infinity])); // those not asked for are the usual ones
  }
}
