/** Reads buffers back, without the 10 ms that awaiting costs where that is proven to work. */
import { setImmediate } from "node:timers";
import { SHADERS } from "../../../shaders/mod.ts";
import { rest } from "../backend.ts";
import type { Device } from "./device.ts";
import { type Kernels, setKernel } from "./kernel.ts";
import type { Memory } from "./memory.ts";
import type { ReadNow } from "./read_now.ts";

/** A stretch of a buffer, at multiples of 4 bytes. */
export interface Source {
  readonly buffer: GPUBuffer;
  readonly from: number;
  readonly bytes: number;
}

/** Commands in the making. Those that lead go to the device by themselves, and it works on them while it is given the others. */
export interface Begun {
  readonly lead?: GPUCommandBuffer;
  readonly encoder: GPUCommandEncoder;
}

/** Commands with the buffer that they fill, null if they give nothing back. */
export interface Encoded {
  readonly commands: readonly GPUCommandBuffer[];
  readonly target: GPUBuffer | null;
  readonly bytes: number;
}

/** Lets the event loop turn once. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Buffers in rotation: one may still be settling from the read before. */
const RING = 4;

/** Reads that must be right before the synchronous way is trusted. */
const PROOF_ROUNDS = 16;

/** Timers, messages and the news of a lost device wait for a turn of the event loop; give them one this often. */
const TURN_MILLIS = 50;

const MIN_BYTES = 2 ** 14;

async function readAwaited(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  await buffer.mapAsync(GPUMapMode.READ);
  const copy = buffer.getMappedRange(0, bytes).slice(0);
  buffer.unmap();
  return copy;
}

const totalOf = (sources: readonly Source[]) => sources.reduce((sum, { bytes }) => sum + bytes, 0);

function end({ lead, encoder }: Begun, sources: readonly Source[], target: GPUBuffer | null): Encoded {
  let at = 0;
  for (const { buffer, from, bytes } of sources) {
    if (bytes > 0) encoder.copyBufferToBuffer(buffer, from, target!, at, bytes);
    at += bytes;
  }
  return { commands: [...(lead ? [lead] : []), encoder.finish()], target, bytes: at };
}

/** Reads back what a device computed. */
export class Readback {
  readonly #device: Device;
  readonly #readNow: ReadNow;
  readonly #ring: (GPUBuffer | null)[] = Array(RING).fill(null);
  #next = 0;
  #reading = false; // or about to
  #following: (() => void) | null = null; // what is to be run at once when it is over
  #synchronous = true;
  #lastTurn = performance.now();

  private constructor(device: Device, readNow: ReadNow) {
    this.#device = device;
    this.#readNow = readNow;
  }

  /** Proves with a counter on the device that `readNow` gives new data, and awaits every read where it does not. */
  static async open(
    device: Device,
    memory: Memory,
    kernels: Kernels,
    readNow: ReadNow = device.readNow,
  ): Promise<Readback> {
    const readback = new Readback(device, readNow);
    readback.#synchronous = await readback.#prove(memory, kernels);
    return readback;
  }

  /** Whether reads need no awaiting. */
  get synchronous(): boolean {
    return this.#synchronous;
  }

  /** Whether something is being read, or is about to. */
  get reading(): boolean {
    return this.#reading;
  }

  /** Ends the commands with copies of the sources, one after the other, into the next buffer of the ring. */
  async encode(begun: Begun, sources: readonly Source[]): Promise<Encoded> {
    const total = totalOf(sources);
    return end(begun, sources, total === 0 ? null : await this.#buffer(total));
  }

  /** The same at once, or null if the ring's next buffer must be made first. */
  encodeNow(begin: () => Begun, sources: readonly Source[]): Encoded | null {
    if (sources.length === 0) return end(begin(), sources, null);
    const buffer = this.#ring[this.#next] ?? null;
    if (buffer === null || buffer.size < totalOf(sources)) return null;
    this.#next = (this.#next + 1) % RING;
    return end(begin(), sources, buffer);
  }

  /** Runs commands, or while something is being read leaves them until that is over: reading waits for all that was submitted. */
  async run(encoded: Encoded): Promise<void> {
    if (!this.#reading) return this.#run(encoded);
    await new Promise<void>((resolve) => {
      this.#following = () => {
        this.#run(encoded);
        resolve();
      };
    });
  }

  #run({ commands }: Encoded): void {
    for (const buffer of commands) this.#device.gpu.queue.submit([buffer]);
  }

  /** Runs the commands, says so, lets the thread {@linkcode rest} and does something `meanwhile`, then reads what they leave. */
  async submit(
    encoded: Encoded,
    submitted = () => {},
    meanwhile: () => void | Promise<void> = () => {},
  ): Promise<ArrayBuffer> {
    await this.run(encoded);
    const { target, bytes } = encoded;
    this.#reading = target !== null;
    submitted();
    let followed = false;
    const follow = () => {
      this.#reading = false;
      const following = this.#following;
      this.#following = null;
      followed ||= following !== null;
      following?.();
    };
    try {
      await rest();
      await meanwhile();
      if (target === null) return new ArrayBuffer(0);
      return this.#synchronous ? this.#readNow(target, bytes, follow) : await readAwaited(target, bytes);
    } finally {
      follow();
      if (!followed) await this.#turn();
    }
  }

  /** The next buffer of the ring, mapped once before, large enough. */
  async #buffer(bytes: number): Promise<GPUBuffer> {
    const index = this.#next;
    this.#next = (this.#next + 1) % RING;
    const known = this.#ring[index];
    if (known && known.size >= bytes) return known;
    known?.destroy();
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, MIN_BYTES)));
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const buffer = this.#device.gpu.createBuffer({ label: "readback", size, usage });
    await readAwaited(buffer, 4);
    return this.#ring[index] = buffer;
  }

  async #turn(): Promise<void> {
    if (performance.now() - this.#lastTurn < TURN_MILLIS) return;
    await turn();
    this.#lastTurn = performance.now();
  }

  async #prove(memory: Memory, kernels: Kernels): Promise<boolean> {
    const count = memory.buffer("count", 4);
    const bound = kernels.get(SHADERS.counter, {}).bind({ count }, {});
    try {
      for (let round = 1; round <= PROOF_ROUNDS; round++) {
        const encoder = this.#device.gpu.createCommandEncoder();
        const pass = encoder.beginComputePass();
        setKernel(pass, bound);
        pass.dispatchWorkgroups(1);
        pass.end();
        const result = await this.submit(await this.encode({ encoder }, [{ buffer: count, from: 0, bytes: 4 }]));
        if (new Uint32Array(result)[0] !== round) return false;
      }
      return true;
    } catch {
      return false;
    }
  }
}
