/** What a compute pass binds: layouts, bind groups, shaders, pipelines, query sets. */
import type { WgpuBuffer } from "./buffer.ts";
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import { ENUMS, STRUCTS } from "./webgpu_h.ts";

const BINDING_TYPES = {
  uniform: ENUMS.BufferBindingType.Uniform,
  storage: ENUMS.BufferBindingType.Storage,
  "read-only-storage": ENUMS.BufferBindingType.ReadOnlyStorage,
} as const;

/** As the standard's GPUBindGroupLayout, for buffers. */
export class WgpuBindGroupLayout implements GPUBindGroupLayout {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;

  /** Of a descriptor, or the layout that a pipeline has at an index. */
  constructor(device: WgpuDevice, from: GPUBindGroupLayoutDescriptor | { readonly pointer: Deno.PointerValue }) {
    const { symbols, scratch } = device;
    this.label = "label" in from ? from.label ?? "" : "";
    this.device = device;
    this.handle = "pointer" in from
      ? device.adopt(this, from.pointer, symbols.wgpuBindGroupLayoutRelease)
      : device.create(this, "BindGroupLayout", symbols.wgpuBindGroupLayoutRelease, () => {
        const entries = [...from.entries].map(({ binding, visibility, buffer }) => {
          if (!buffer) throw new TypeError(`Cannot lay out binding ${binding}: only buffers can be bound`);
          const { type = "uniform", hasDynamicOffset = false, minBindingSize = 0 } = buffer;
          return {
            ...{ binding, visibility, "buffer.type": BINDING_TYPES[type] },
            ...{ "buffer.hasDynamicOffset": Number(hasDynamicOffset), "buffer.minBindingSize": minBindingSize },
          };
        });
        const at = scratch.structs<"BindGroupLayoutEntry">(STRUCTS.BindGroupLayoutEntry, entries);
        const { label } = this;
        return scratch.descriptor(STRUCTS.BindGroupLayoutDescriptor, {
          label,
          entryCount: entries.length,
          entries: at,
        });
      });
  }
}

/** As the standard's GPUPipelineLayout. */
export class WgpuPipelineLayout implements GPUPipelineLayout {
  label: string;
  readonly handle: Handle;

  constructor(device: WgpuDevice, { label = "", bindGroupLayouts }: GPUPipelineLayoutDescriptor) {
    const { symbols, scratch } = device;
    this.label = label;
    this.handle = device.create(this, "PipelineLayout", symbols.wgpuPipelineLayoutRelease, () => {
      const layouts = [...bindGroupLayouts].map((layout) => device.pointer(layout as WgpuBindGroupLayout));
      const at = scratch.pointers(layouts);
      const counts = { bindGroupLayoutCount: layouts.length, bindGroupLayouts: at };
      return scratch.descriptor(STRUCTS.PipelineLayoutDescriptor, { label, ...counts });
    });
  }
}

/** As the standard's GPUBindGroup, of buffers. */
export class WgpuBindGroup implements GPUBindGroup {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  readonly #buffers: readonly WgpuBuffer[];
  /** Whether a buffer was destroyed when the device had destroyed so many. */
  #known = { destructions: 0, destroyed: false };

  constructor(device: WgpuDevice, { label = "", layout, entries }: GPUBindGroupDescriptor) {
    const { symbols, scratch } = device;
    const bound = [...entries].map(({ binding, resource }) => ({ binding, ...bufferBinding(binding, resource) }));
    this.label = label;
    this.device = device;
    this.#buffers = bound.map(({ buffer }) => buffer);
    this.handle = device.create(this, "BindGroup", symbols.wgpuBindGroupRelease, () => {
      const at = scratch.structs<"BindGroupEntry">(
        STRUCTS.BindGroupEntry,
        bound.map(({ buffer, ...entry }) => ({ ...entry, buffer: device.pointer(buffer) })),
      );
      const members = { label, layout: device.pointer(layout as WgpuBindGroupLayout) };
      return scratch.descriptor(STRUCTS.BindGroupDescriptor, { ...members, entryCount: bound.length, entries: at });
    });
  }

  /** Whether a buffer of it is destroyed. */
  get destroyed(): boolean {
    const { destructions } = this.device;
    if (this.#known.destructions !== destructions) {
      this.#known = { destructions, destroyed: this.#buffers.some(({ destroyed }) => destroyed) };
    }
    return this.#known.destroyed;
  }

  /** Whether a buffer of it is mapped. */
  get mapped(): boolean {
    return this.#buffers.some(({ mapped }) => mapped);
  }
}

function bufferBinding(binding: number, resource: GPUBindingResource) {
  const { buffer, offset = 0, size } = resource as GPUBufferBinding;
  if (!buffer) throw new TypeError(`Cannot bind at ${binding}: only { buffer, offset, size } can be bound`);
  return { buffer: buffer as WgpuBuffer, offset, size: size ?? Math.max(0, buffer.size - offset) };
}

/** As the standard's GPUShaderModule, of WGSL. */
export class WgpuShaderModule implements GPUShaderModule {
  label: string;
  readonly handle: Handle;
  readonly #error: GPUError | null;

  constructor(device: WgpuDevice, { label = "", code }: GPUShaderModuleDescriptor) {
    const { symbols, scratch, errors } = device;
    this.label = label;
    const { result, error } = errors.watch(() =>
      device.create(this, "ShaderModule", symbols.wgpuShaderModuleRelease, () => {
        const source = { "chain.sType": ENUMS.SType.ShaderSourceWGSL, code };
        const nextInChain = scratch.struct<"ShaderSourceWGSL">(STRUCTS.ShaderSourceWGSL, source);
        return scratch.descriptor(STRUCTS.ShaderModuleDescriptor, { label, nextInChain });
      })
    );
    this.handle = result;
    this.#error = error;
    if (error) errors.report(error);
  }

  /** What the compiler says; the library says no more than its first error. */
  getCompilationInfo(): Promise<GPUCompilationInfo> {
    const message = this.#error?.message;
    if (message === undefined) return Promise.resolve({ messages: [] });
    const [, line = "0", column = "0"] = /:(\d+):(\d+)/.exec(message) ?? [];
    const place = { lineNum: Number(line), linePos: Number(column), offset: 0, length: 0 };
    return Promise.resolve({ messages: [{ message, type: "error", ...place }] });
  }
}

/** As the standard's GPUComputePipeline. */
export class WgpuComputePipeline implements GPUComputePipeline {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;

  constructor(device: WgpuDevice, { label = "", layout, compute }: GPUComputePipelineDescriptor) {
    const { symbols, scratch } = device;
    this.label = label;
    this.device = device;
    this.handle = device.create(this, "ComputePipeline", symbols.wgpuComputePipelineRelease, () => {
      const constants = Object.entries(compute.constants ?? {}).map(([key, value]) => ({ key, value }));
      return scratch.descriptor(STRUCTS.ComputePipelineDescriptor, {
        label,
        layout: layout === "auto" ? null : device.pointer(layout as WgpuPipelineLayout),
        "compute.module": device.pointer(compute.module as WgpuShaderModule),
        "compute.entryPoint": compute.entryPoint ?? null,
        "compute.constantCount": constants.length,
        "compute.constants": scratch.structs<"ConstantEntry">(STRUCTS.ConstantEntry, constants),
      });
    });
  }

  getBindGroupLayout(index: number): WgpuBindGroupLayout {
    const { device, handle } = this;
    const get = device.symbols.wgpuComputePipelineGetBindGroupLayout;
    return new WgpuBindGroupLayout(device, { pointer: handle.pointer && get(handle.pointer, index) });
  }
}

/** As the standard's GPUQuerySet, of timestamps. */
export class WgpuQuerySet implements GPUQuerySet {
  label: string;
  readonly type: GPUQueryType = "timestamp";
  readonly count: number;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  destroyed = false;
  readonly mapped = false;

  constructor(device: WgpuDevice, { label = "", type, count }: GPUQuerySetDescriptor) {
    if (type !== "timestamp") throw new TypeError(`Cannot query "${type}": only "timestamp" is there`);
    const { symbols, scratch } = device;
    this.label = label;
    this.count = count;
    this.device = device;
    this.handle = device.create(
      this,
      "QuerySet",
      symbols.wgpuQuerySetRelease,
      () => scratch.descriptor(STRUCTS.QuerySetDescriptor, { label, type: ENUMS.QueryType.Timestamp, count }),
    );
  }

  /** The library frees it when nothing uses it any more. */
  destroy(): undefined {
    this.destroyed = true;
    this.device.destructions++;
  }
}
