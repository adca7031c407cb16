/** Gives steps to the device: each encoded while those before it run, and the one that comes next before anybody asks for it. */
import { rest, type StepInput, stepsOf } from "../backend.ts";
import type { Device } from "./device.ts";
import { type Counts, isEqual, type WebGpuPlan } from "./plan.ts";
import { type Begun, type Encoded, type Readback, type Source, turn } from "./readback.ts";
import type { Timer } from "./timer.ts";

/** For one backend. */
export class Submitter {
  readonly #device: Device;
  readonly #readback: Readback;
  readonly #timer: Timer | null;
  #last: StepLike | null = null;
  #ahead: { readonly like: StepLike; readonly encoded: Encoded } | null = null;

  constructor(device: Device, readback: Readback, timer: Timer | null) {
    this.#device = device;
    this.#readback = readback;
    this.#timer = timer;
  }

  /**
   * Submits a step, then its further steps, each encoded while those before it run. Meanwhile also encodes the step that comes next, in
   * case it is like this one as this one was like the one before: a text goes on. Where the run before is still being read the first one
   * waits for that, with all made ready.
   */
  async submit(
    plan: WebGpuPlan,
    step: StepInput,
    sources: readonly Source[],
    submitted: () => void,
  ): Promise<ArrayBuffer> {
    const readback = this.#readback;
    const further = stepsOf(step) - 1;
    const { queue } = this.#device.gpu;
    const counts = plan.write(queue, step);
    if (readback.reading) queue.submit([]); // else what was written would go with the first commands, for which the device waits
    const read = further === 0 ? sources : []; // with the first step
    const like = { plan, counts, read, further };
    const goesOn = isLike(this.#last, like);
    const begin = () => this.#begin(plan, like);
    const ahead = this.#ahead && isLike(this.#ahead.like, like) ? this.#ahead.encoded : null;
    this.#ahead = null;
    this.#last = like;
    const first = ahead ?? await readback.encode(begin(), read);
    const last = further === 0 ? first : await this.#goOn(first, like, sources);
    return await readback.submit(last, submitted, async () => {
      const encoded = goesOn ? readback.encodeNow(begin, read) : null;
      this.#ahead = encoded && { like, encoded };
      // While a chain has much before it: where chains follow each other there is no other time at which a turn costs nothing.
      if (further > 0) await turn();
    });
  }

  /** Submits the first step and all further ones but the last, which it encodes. */
  async #goOn(
    first: Encoded,
    { plan, counts, further }: StepLike,
    sources: readonly Source[],
  ): Promise<Encoded> {
    await this.#readback.run(first);
    await rest();
    for (let i = 1; i < further; i++) {
      await this.#readback.run(await this.#readback.encode(this.#further(plan, counts, i), []));
    }
    const last = this.#further(plan, counts, further);
    this.#timer?.resolve(last.encoder, further + 1);
    return await this.#readback.encode(last, sources);
  }

  /** Encodes the i-th further step. */
  #further(plan: WebGpuPlan, counts: Counts, i: number): Begun {
    const encoder = this.#device.gpu.createCommandEncoder();
    pass(plan, encoder, counts, this.#timer?.whole(i));
    return { encoder };
  }

  /** Encodes a step, but for what is read; its beginning by itself if it is a long one. */
  #begin(plan: WebGpuPlan, { counts, further }: StepLike): Begun {
    const timer = this.#timer;
    const encoder = this.#device.gpu.createCommandEncoder();
    const leads = plan.lead > 0;
    const first = leads ? this.#device.gpu.createCommandEncoder() : encoder;
    if (leads) pass(plan, first, counts, timer?.begin(0), 0, plan.lead);
    pass(plan, encoder, counts, leads ? timer?.end(0) : timer?.whole(0), plan.lead);
    if (further === 0) timer?.resolve(encoder, 1);
    return leads ? { lead: first.finish(), encoder } : { encoder };
  }

  /** Drops what was encoded ahead: its buffer of the ring may be the one that comes next. */
  forget(): void {
    this.#ahead = null;
  }
}

/** Encodes a plan's dispatches [from, to). */
function pass(
  plan: WebGpuPlan,
  encoder: GPUCommandEncoder,
  counts: Counts,
  timestampWrites: GPUComputePassTimestampWrites | undefined,
  from?: number,
  to?: number,
): void {
  const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
  plan.replay(pass, counts, from, to);
  pass.end();
}

/** What the commands of a step depend on, besides the contents of buffers. */
interface StepLike {
  readonly plan: WebGpuPlan;
  readonly counts: Counts;
  /** What is read of the first step. */
  readonly read: readonly Source[];
  /** Further steps. */
  readonly further: number;
}

function isLike(last: StepLike | null, like: StepLike): boolean {
  if (last === null || last.plan !== like.plan || (last.further > 0) !== (like.further > 0)) return false;
  return isEqual(last.counts, like.counts) && last.read.length === like.read.length &&
    last.read.every((source, i) => isSameSource(source, like.read[i]!));
}

const isSameSource = (a: Source, b: Source) => a.buffer === b.buffer && a.from === b.from && a.bytes === b.bytes;
