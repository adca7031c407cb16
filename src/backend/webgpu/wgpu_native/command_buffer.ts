/** Recorded commands, and what could forbid to submit them. */
import type { WgpuBuffer } from "./buffer.ts";
import type { WgpuCommandEncoder } from "./command_encoder.ts";
import type { WgpuDevice } from "./device.ts";
import type { Handle } from "./handles.ts";
import type { WgpuBindGroup, WgpuQuerySet } from "./resources.ts";

/** What commands use that could be destroyed or mapped. */
export type Used = WgpuBindGroup | WgpuBuffer | WgpuQuerySet;

/** As the standard's GPUCommandBuffer. */
export class WgpuCommandBuffer implements GPUCommandBuffer {
  label: string;
  readonly device: WgpuDevice;
  readonly handle: Handle;
  readonly #used: readonly Used[];
  /** Buffers that can be mapped. */
  readonly #mappable: readonly WgpuBuffer[];
  /** Whether it is submitted; by itself, as the release must not keep all of this alive. */
  readonly #submitted = { is: false };
  #valid: boolean;

  /** Made by {@linkcode WgpuCommandEncoder.finish}. */
  constructor(
    { device, used, mappable }: WgpuCommandEncoder,
    label: string,
    pointer: Deno.PointerValue,
    valid: boolean,
  ) {
    const [{ symbols, unsubmitted }, submitted] = [device, this.#submitted];
    this.label = label;
    this.device = device;
    this.#used = used;
    this.#mappable = mappable;
    this.#valid = valid;
    this.handle = device.adopt(this, pointer, (commands) => {
      if (submitted.is) symbols.wgpuCommandBufferRelease(commands);
      else unsubmitted.release(commands);
    });
  }

  /** Why a device must not be given it, or null. */
  refusal(device: WgpuDevice): string | null {
    if (this.device !== device) return "a command buffer is of another device";
    if (!this.#valid) return "a command buffer was submitted before, or was not recorded rightly";
    if (device.destructions > 0 && this.#used.some(({ destroyed }) => destroyed)) return "a buffer in use is destroyed";
    if (device.mapped.size > 0 && this.#used.some(({ mapped }) => mapped)) return "a buffer in use is mapped";
    return null;
  }

  /** Frees the commands, which are submitted only once. */
  spend(submission: bigint | null): void {
    this.#valid = false;
    this.#submitted.is = submission !== null;
    if (submission !== null) { for (const buffer of this.#mappable) buffer.lastSubmission = submission; }
    this.handle.release();
  }
}
