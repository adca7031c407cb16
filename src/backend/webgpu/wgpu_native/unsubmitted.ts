/** Frees command buffers that were never submitted, which the library forgets to do. */
import type { Symbols } from "./library.ts";

/**
 * wgpu-native 29 frees a command buffer on its release only if a flag in the object says that it was submitted: every other one stays, some
 * 200 KB for 150 dispatches. Where the flag lies is found out with two empty command buffers, and that setting it frees one is proven.
 */
export class Unsubmitted {
  readonly #release: (pointer: Deno.PointerValue) => void;
  /** Offset of the flag; null where it is not found, and then nothing is set. */
  readonly #flag: number | null;

  private constructor(symbols: Symbols, flag: number | null) {
    this.#release = symbols.wgpuCommandBufferRelease;
    this.#flag = flag;
  }

  /** Tries it out on a device; `count` tells how many command buffers the library holds. */
  static find(symbols: Symbols, device: Deno.PointerValue, count: () => number): Unsubmitted {
    const queue = symbols.wgpuDeviceGetQueue(device);
    try {
      const flag = findFlag(symbols, device, queue);
      const before = count();
      const spare = empty(symbols, device);
      const unsubmitted = new Unsubmitted(symbols, flag);
      unsubmitted.release(spare);
      return count() === before ? unsubmitted : new Unsubmitted(symbols, null);
    } finally {
      symbols.wgpuQueueRelease(queue);
    }
  }

  /** Releases one that was not submitted. */
  release(commands: Deno.PointerValue): void {
    if (this.#flag !== null && commands !== null) flagsOf(commands)[this.#flag] = 1;
    this.#release(commands);
  }
}

/** Bytes of the library's object: a reference, a number, the flag. */
const BYTES = 24;

const flagsOf = (commands: Deno.PointerObject) =>
  new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(commands, BYTES));

function empty(symbols: Symbols, device: Deno.PointerValue): Deno.PointerObject {
  const encoder = symbols.wgpuDeviceCreateCommandEncoder(device, null);
  const commands = symbols.wgpuCommandEncoderFinish(encoder, null);
  symbols.wgpuCommandEncoderRelease(encoder);
  return commands!;
}

/** The one byte that submitting sets from 0 to 1. */
function findFlag(symbols: Symbols, device: Deno.PointerValue, queue: Deno.PointerValue): number | null {
  const commands = empty(symbols, device);
  const before = flagsOf(commands).slice();
  symbols.wgpuQueueSubmitForIndex(queue, 1n, BigUint64Array.of(Deno.UnsafePointer.value(commands)));
  const changed = [...flagsOf(commands).entries()].filter(([i, value]) => value !== before[i]);
  symbols.wgpuDevicePoll(device, 1, null);
  symbols.wgpuCommandBufferRelease(commands);
  const [flag] = changed;
  return changed.length === 1 && before[flag![0]] === 0 && flag![1] === 1 ? flag![0] : null;
}
