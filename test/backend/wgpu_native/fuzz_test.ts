/** Random calls that are valid, mostly, beside a model of what the buffers hold: nothing crashes, and every byte is right. */
import { strict as assert } from "node:assert";
import type { WgpuBuffer, WgpuDevice } from "../../../src/backend/webgpu/wgpu_native/mod.ts";
import { openNative, testOnNative } from "./library.ts";

const CALLS = 10_000;
const SEED = 20;

/** Bytes of the largest buffer, and how many there are at once. */
const MOST_BYTES = 4096;
const BUFFERS = 12;

/** What validation layers before 1.3.250 say of every shader that was WGSL. */
const UNKNOWN_LANGUAGE = /Invalid source language operand/;

const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;

const SHADER = `
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < min(arrayLength(&source), arrayLength(&sums))) { sums[id.x] = 3u * sums[id.x] + source[id.x]; }
}
`;

/** A buffer, and what it must hold once everything is submitted. */
interface Modelled {
  readonly buffer: WgpuBuffer;
  words: Uint32Array<ArrayBuffer>;
}

/** Numbers by xorshift. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number below n. */
  below(n: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % n;
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }
}

class Fuzz {
  readonly #device: WgpuDevice;
  readonly #chance: Chance;
  readonly #pipeline: GPUComputePipeline;
  readonly #buffers: Modelled[] = [];
  /** What was recorded and not submitted, and what it does to the model. */
  readonly #recorded: { readonly commands: GPUCommandBuffer; readonly effects: readonly (() => void)[] }[] = [];
  checked = 0;

  constructor(device: WgpuDevice, seed: number) {
    this.#device = device;
    this.#chance = new Chance(seed);
    const module = device.createShaderModule({ code: SHADER });
    this.#pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    for (let i = 0; i < BUFFERS; i++) this.#buffers.push(this.#make());
  }

  async step(): Promise<void> {
    const steps = [this.#write, this.#record, this.#record, this.#record, this.#submit, this.#submit, this.#replace];
    const other = [this.#check, this.#checkAsync, this.#waste, this.#mistake];
    await this.#chance.of([...steps, ...other]).call(this);
  }

  #make(): Modelled {
    const words = 4 + this.#chance.below(MOST_BYTES / 4 - 4);
    const buffer = this.#device.createBuffer({ size: 4 * words, usage: STORAGE | COPY_SRC | COPY_DST });
    return { buffer, words: new Uint32Array(words) };
  }

  #write(): void {
    const { buffer, words } = this.#chance.of(this.#buffers);
    const offset = this.#chance.below(words.length);
    const data = Uint32Array.from({ length: this.#chance.below(words.length - offset) }, () => this.#chance.below(1e9));
    this.#device.queue.writeBuffer(buffer, 4 * offset, data);
    words.set(data, offset);
  }

  #record(): void {
    const encoder = this.#device.createCommandEncoder({ label: this.#chance.of(["", "step", "Schritt äöü"]) });
    const effects = Array.from({ length: 1 + this.#chance.below(4) }, () => {
      const [from, to] = [this.#chance.of(this.#buffers), this.#chance.of(this.#buffers)];
      if (from === to) return this.#clear(encoder, to);
      return this.#chance.below(2) === 0 ? this.#copy(encoder, from, to) : this.#compute(encoder, from, to);
    });
    this.#recorded.push({ commands: encoder.finish(), effects });
  }

  #clear(encoder: ReturnType<WgpuDevice["createCommandEncoder"]>, { buffer, words }: Modelled): () => void {
    const offset = this.#chance.below(words.length);
    encoder.clearBuffer(buffer, 4 * offset);
    return () => words.fill(0, offset);
  }

  #copy(encoder: ReturnType<WgpuDevice["createCommandEncoder"]>, from: Modelled, to: Modelled): () => void {
    const [begin, target] = [this.#chance.below(from.words.length), this.#chance.below(to.words.length)];
    const count = this.#chance.below(Math.min(from.words.length - begin, to.words.length - target));
    encoder.copyBufferToBuffer(from.buffer, 4 * begin, to.buffer, 4 * target, 4 * count);
    return () => to.words.set(from.words.subarray(begin, begin + count), target);
  }

  #compute(encoder: ReturnType<WgpuDevice["createCommandEncoder"]>, from: Modelled, to: Modelled): () => void {
    const entries = [from, to].map(({ buffer }, binding) => ({ binding, resource: { buffer } }));
    const group = this.#device.createBindGroup({ layout: this.#pipeline.getBindGroupLayout(0), entries });
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, group);
    const groups = this.#chance.below(MOST_BYTES / 128);
    pass.dispatchWorkgroups(groups);
    pass.end();
    return () => {
      const count = Math.min(32 * groups, from.words.length, to.words.length);
      for (let i = 0; i < count; i++) to.words[i] = 3 * to.words[i]! + from.words[i]!;
    };
  }

  #submit(): void {
    const all = this.#recorded.splice(0, 1 + this.#chance.below(4));
    this.#device.queue.submit(all.map(({ commands }) => commands));
    for (const { effects } of all) for (const effect of effects) effect();
  }

  /** Destroys a buffer that nothing recorded uses, or leaves it to the garbage collector. */
  #replace(): void {
    while (this.#recorded.length > 0) this.#submit();
    const i = this.#chance.below(BUFFERS);
    if (this.#chance.below(2) === 0) this.#buffers[i]!.buffer.destroy();
    this.#buffers[i] = this.#make();
  }

  #read({ buffer }: Modelled): WgpuBuffer {
    const target = this.#device.createBuffer({ size: buffer.size, usage: COPY_DST | MAP_READ });
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, target, 0, buffer.size);
    this.#device.queue.submit([encoder.finish()]);
    return target;
  }

  #check(): void {
    const modelled = this.#chance.of(this.#buffers);
    const target = this.#read(modelled);
    assert.deepEqual(new Uint32Array(target.readSync()), modelled.words);
    target.destroy();
    this.checked++;
  }

  async #checkAsync(): Promise<void> {
    const modelled = this.#chance.of(this.#buffers);
    const target = this.#read(modelled);
    await target.mapAsync(GPUMapMode.READ);
    assert.deepEqual(new Uint32Array(target.getMappedRange().slice(0)), modelled.words);
    if (this.#chance.below(2) === 0) target.unmap();
    else target.destroy();
    this.checked++;
  }

  /** Records what is never submitted. */
  #waste(): void {
    const encoder = this.#device.createCommandEncoder();
    this.#copy(encoder, this.#buffers[0]!, this.#buffers[1]!);
    if (this.#chance.below(2) === 0) encoder.finish();
  }

  /** Submits what uses a buffer that was destroyed before or after it was recorded. */
  #useDestroyed(): void {
    const { buffer } = this.#make();
    const to = this.#buffers[0]!;
    const encoder = this.#device.createCommandEncoder();
    if (this.#chance.below(2) === 0) buffer.destroy();
    this.#compute(encoder, { buffer, words: new Uint32Array(1) }, to);
    const commands = encoder.finish();
    buffer.destroy();
    this.#device.queue.submit([commands]);
  }

  /** What the device must complain of, and only that. */
  async #mistake(): Promise<void> {
    const { buffer, words } = this.#chance.of(this.#buffers);
    const encoder = this.#device.createCommandEncoder();
    const mistakes = [
      () => this.#device.queue.writeBuffer(buffer, 4 * words.length, new Uint32Array(1)),
      () => encoder.beginComputePass().end() ?? encoder.clearBuffer(buffer, 2) ?? encoder.finish(),
      () => this.#device.createShaderModule({ code: "fn" }),
      () => this.#device.createBindGroup({ layout: this.#pipeline.getBindGroupLayout(0), entries: [] }),
      () => buffer.mapAsync(GPUMapMode.READ).catch(() => {}),
      () => this.#useDestroyed(),
    ];
    this.#device.pushErrorScope("validation");
    this.#chance.of(mistakes)();
    assert.ok(await this.#device.popErrorScope() instanceof GPUValidationError);
  }
}

testOnNative(
  `${CALLS} random calls neither crash nor give a wrong byte, nor does the system's validation find a fault`,
  async () => {
    const logged: string[] = [];
    using gpu = openNative({ validation: true, onLog: (level, message) => level === "error" && logged.push(message) });
    using device = await (await gpu.requestAdapter())!.requestDevice();
    const errors: string[] = [];
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      errors.push((event as GPUUncapturedErrorEvent).error.message);
    });
    const fuzz = new Fuzz(device, SEED);
    for (let i = 0; i < CALLS; i++) {
      await fuzz.step();
      assert.deepEqual(errors, []);
    }
    assert.ok(fuzz.checked > CALLS / 10);
    const faults = logged.filter((message) => message.startsWith("VALIDATION") && !UNKNOWN_LANGUAGE.test(message));
    assert.deepEqual(faults, []);
  },
);
