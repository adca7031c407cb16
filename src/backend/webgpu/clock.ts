/** Times a pass by itself: on the device's clock, or where it has none on ours. */
import type { Device } from "./device.ts";
import type { Memory } from "./memory.ts";
import type { Readback } from "./readback.ts";
import { Timer } from "./timer.ts";

export class Clock {
  readonly #device: Device;
  readonly #readback: Readback;
  readonly #timer: Timer | null;
  readonly #sign: GPUBuffer;

  constructor(device: Device, memory: Memory, readback: Readback) {
    this.#device = device;
    this.#readback = readback;
    this.#timer = Timer.create(device, memory);
    this.#sign = memory.buffer("sign", 4);
  }

  /** Milliseconds of one pass. */
  async millis(dispatch: (pass: GPUComputePassEncoder) => void): Promise<number> {
    await this.#device.settled();
    const encoder = this.#device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass(
      this.#timer ? { timestampWrites: this.#timer.whole(0) } : {},
    );
    dispatch(pass);
    pass.end();
    const source = this.#timer?.resolve(encoder, 1) ?? { buffer: this.#sign, from: 0, bytes: 4 };
    const encoded = await this.#readback.encode({ encoder }, [source]);
    const begun = performance.now();
    const result = await this.#readback.submit(encoded);
    return this.#timer ? Timer.millis(result) : performance.now() - begun;
  }
}
