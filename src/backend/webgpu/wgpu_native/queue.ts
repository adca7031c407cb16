/** The queue of a device. */
import type { WgpuBuffer } from "./buffer.ts";
import type { WgpuDevice } from "./device.ts";
import type { WgpuCommandBuffer } from "./command_buffer.ts";
import type { Handle } from "./handles.ts";

/** Command buffers that one call submits at most. */
const MOST_COMMANDS = 64;

const operationError = (message: string) => new DOMException(message, "OperationError");

/** As the standard's GPUQueue, and {@linkcode lastSubmission}. */
export class WgpuQueue implements GPUObjectBase {
  label = "";
  /** The number of the latest submission, for {@linkcode WgpuDevice.wait}. Not in the standard. */
  lastSubmission: bigint | null = null;
  readonly #device: WgpuDevice;
  readonly #handle: Handle;
  readonly #commands = new BigUint64Array(MOST_COMMANDS);

  constructor(device: WgpuDevice, pointer: Deno.PointerValue) {
    this.#device = device;
    this.#handle = device.adopt(this, pointer, device.symbols.wgpuQueueRelease);
  }

  /** @throws {RangeError} for more than 64 command buffers */
  submit(commandBuffers: readonly GPUCommandBuffer[]): undefined {
    const all = commandBuffers as readonly WgpuCommandBuffer[];
    const { symbols, alive } = this.#device;
    if (!alive) return;
    if (all.length > MOST_COMMANDS) throw new RangeError(`Cannot submit ${all.length} command buffers: 64 at most`);
    // The library ends the process where commands cannot be submitted, so they are checked before.
    const reason = this.#refusal(all);
    if (reason !== null) this.#device.errors.report(new GPUValidationError(`Cannot submit: ${reason}`));
    else {
      all.forEach(({ handle }, i) => this.#commands[i] = Deno.UnsafePointer.value(handle.pointer));
      this.lastSubmission = symbols.wgpuQueueSubmitForIndex(this.#handle.pointer, BigInt(all.length), this.#commands);
    }
    for (const commands of all) commands.spend(reason === null ? this.lastSubmission : null);
  }

  /**
   * Copies data now, and into the buffer before whatever is submitted next.
   * @throws {DOMException} if the data have not that many, or their bytes are no multiple of 4
   */
  writeBuffer(
    buffer: GPUBuffer,
    bufferOffset: number,
    data: BufferSource | SharedArrayBuffer,
    dataOffset = 0,
    size?: number,
  ): undefined {
    const { device, handle } = buffer as WgpuBuffer;
    const unit = "BYTES_PER_ELEMENT" in data ? data.BYTES_PER_ELEMENT as number : 1;
    const bytes = size === undefined ? data.byteLength - dataOffset * unit : size * unit;
    if (bytes % 4 !== 0 || bytes < 0 || dataOffset * unit + bytes > data.byteLength) {
      throw operationError(`Cannot write ${bytes} bytes from ${dataOffset * unit} on: of ${data.byteLength}, in fours`);
    }
    if (!this.#device.alive || bytes === 0) return;
    if (device !== this.#device || handle.pointer === null) {
      this.#device.errors.report(new GPUValidationError("Cannot write: the buffer is none of this device"));
      return;
    }
    const { symbols } = this.#device;
    symbols.wgpuQueueWriteBuffer(
      this.#handle.pointer,
      handle.pointer,
      BigInt(bufferOffset),
      from(data, dataOffset * unit),
      BigInt(bytes),
    );
  }

  /** Resolves when the device has done all that was submitted. */
  onSubmittedWorkDone(): Promise<undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    if (!this.#device.alive) return Promise.resolve(undefined);
    const { callbacks, symbols } = this.#device;
    const done = this.#device.waiting(() => resolve(undefined));
    const id = callbacks.register(() => {
      callbacks.forget(id);
      done();
      resolve(undefined);
    });
    symbols.wgpuQueueOnSubmittedWorkDone(this.#handle.pointer, callbacks.info("QueueWorkDoneCallback", id));
    return promise;
  }

  #refusal(all: readonly WgpuCommandBuffer[]): string | null {
    if (new Set(all).size < all.length) return "a command buffer is there twice";
    for (const commands of all) {
      const reason = commands.refusal(this.#device);
      if (reason !== null) return reason;
    }
    return null;
  }
}

/** The data from a byte on, as what they are where that is the first one. */
function from(data: BufferSource | SharedArrayBuffer, begin: number): BufferSource {
  if (ArrayBuffer.isView(data) && begin === 0) return data as ArrayBufferView<ArrayBuffer>;
  const [buffer, offset] = ArrayBuffer.isView(data) ? [data.buffer, data.byteOffset] : [data, 0];
  return new Uint8Array(buffer as ArrayBuffer, offset + begin);
}
