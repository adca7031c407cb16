/** Compute passes: what a step records most of. */
import type { WgpuBuffer } from "./buffer.ts";
import type { Used } from "./command_buffer.ts";
import type { WgpuCommandEncoder } from "./command_encoder.ts";
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import type { WgpuBindGroup, WgpuComputePipeline } from "./resources.ts";

/** As the standard's GPUComputePassEncoder. Its calls go to the C library as they are, without anything in between. */
export class WgpuComputePassEncoder implements GPUObjectBase {
  label: string;
  readonly #encoder: WgpuCommandEncoder;
  readonly #device: WgpuDevice;
  readonly #used: Used[];
  /** Released as the pass ends. */
  readonly #handle: Handle;

  constructor(encoder: WgpuCommandEncoder, label: string, pointer: Deno.PointerValue | false) {
    this.label = label;
    this.#encoder = encoder;
    this.#device = encoder.device;
    this.#used = encoder.used;
    this.#handle = this.#device.adopt(this, pointer || null, this.#device.symbols.wgpuComputePassEncoderRelease);
  }

  setPipeline(pipeline: GPUComputePipeline): undefined {
    const { handle, device } = pipeline as WgpuComputePipeline;
    if (!this.#takes(device, handle)) return;
    this.#device.symbols.wgpuComputePassEncoderSetPipeline(this.#handle.pointer, handle.pointer);
  }

  setBindGroup(
    index: number,
    bindGroup: GPUBindGroup | null,
    offsets?: Iterable<number> | Uint32Array,
    start = 0,
    length?: number,
  ): undefined {
    const set = this.#device.symbols.wgpuComputePassEncoderSetBindGroup;
    if (bindGroup === null) {
      if (this.#handle.pointer !== null) set(this.#handle.pointer, index, null, 0n, null);
      return;
    }
    const bound = bindGroup as WgpuBindGroup;
    if (!this.#takes(bound.device, bound.handle)) return;
    this.#used.push(bound);
    if (offsets === undefined) set(this.#handle.pointer, index, bound.handle.pointer, 0n, null);
    else {
      const all = Uint32Array.from(offsets).slice(start, length === undefined ? undefined : start + length);
      set(this.#handle.pointer, index, bound.handle.pointer, BigInt(all.length), all.length > 0 ? all : null);
    }
  }

  dispatchWorkgroups(x: number, y = 1, z = 1): undefined {
    if (this.#handle.pointer === null) return this.#ended();
    this.#device.symbols.wgpuComputePassEncoderDispatchWorkgroups(this.#handle.pointer, x, y, z);
  }

  dispatchWorkgroupsIndirect(buffer: GPUBuffer, offset: number): undefined {
    const { handle, device } = buffer as WgpuBuffer;
    if (!this.#takes(device, handle)) return;
    this.#used.push(buffer as WgpuBuffer);
    const dispatch = this.#device.symbols.wgpuComputePassEncoderDispatchWorkgroupsIndirect;
    dispatch(this.#handle.pointer, handle.pointer, BigInt(offset));
  }

  end(): undefined {
    if (this.#handle.pointer === null) return this.#ended();
    const { symbols, errorCount } = this.#device;
    symbols.wgpuComputePassEncoderEnd(this.#handle.pointer);
    this.#encoder.judge(errorCount);
    this.#handle.release();
  }

  /** Whether the pass goes on and can use an object. */
  #takes(device: WgpuDevice, handle: Handle): boolean {
    if (this.#handle.pointer !== null && device === this.#device && handle.pointer !== null) return true;
    if (this.#handle.pointer === null) this.#ended();
    else this.#encoder.invalidate("Cannot record: an object is of another device, or was not created");
    return false;
  }

  #ended(): undefined {
    this.#encoder.invalidate("Cannot record: the compute pass has ended");
  }
}
