/** What is chosen for a device by measurement: at the first start there, and from then on from memory. */
import { type DeviceKey, deviceKey } from "../backend/webgpu/identity.ts";
import { fastest, timeKernels, type Timing } from "../backend/webgpu/tuning.ts";
import type { ModelConfig } from "../model/config.ts";
import type { GpuProvider, KernelChoice, Quantize } from "../pipeline/messages.ts";
import { bestChunk, CHUNKS, timeChunks } from "./chunk_rows.ts";
import { type Measurement, measurementOf, recall, remember } from "./remembered.ts";

export { cacheFile, type Measurement } from "./remembered.ts";

/** Whether to measure what is not remembered, nothing, or all. */
export type Measure = "missing" | "nothing" | "everything";

/** The choices for the best device of a provider. Each is null where it is not known, and then what is usual is taken. */
export class Tuning {
  readonly #gpu: GpuProvider;
  readonly #key: DeviceKey;
  readonly #file: string | null;
  readonly #measure: Measure;

  private constructor(gpu: GpuProvider, key: DeviceKey, file: string | null, measure: Measure) {
    this.#gpu = gpu;
    this.#key = key;
    this.#file = file;
    this.#measure = measure;
  }

  /** Null if the provider has no device. Measurements are remembered in `file`, if that is not null. */
  static async of(gpu: GpuProvider, file: string | null, measure: Measure): Promise<Tuning | null> {
    const key = await deviceKey(gpu);
    return key && new Tuning(gpu, key, file, measure);
  }

  /** The device's name, and what else it tells of itself. */
  get device(): string {
    return this.#key.device;
  }

  /** Variants of kernels. */
  kernels(): Promise<Measurement<KernelChoice> | null> {
    return this.#choice("kernels", isKernelChoice, () => timeKernels(this.#gpu), fastest);
  }

  /** Rows of a prefill step of a model. */
  rows(config: ModelConfig, quantize: Quantize): Promise<Measurement<number> | null> {
    const { hidden, heads, headDim, experts, expertsPerToken, moeIntermediate } = config;
    const what = `prefill rows with hidden ${hidden}, ${heads} heads of ${headDim}, ` +
      `${expertsPerToken} of ${experts} experts of ${moeIntermediate}, quantize ${quantize}`;
    return this.#choice(what, isChunk, () => timeChunks(config, { gpu: this.#gpu, quantize }), bestChunk);
  }

  async #choice<Choice, T extends Timing<Choice>>(
    what: string,
    isChoice: (value: unknown) => value is Choice,
    time: () => Promise<readonly T[]>,
    choose: (timings: readonly T[]) => Choice,
  ): Promise<Measurement<Choice> | null> {
    const known = this.#measure === "everything"
      ? null
      : await recall(this.#file, this.#key, what, measurementOf(isChoice));
    if (known !== null || this.#measure === "nothing") return known;
    try {
      const timings = await time();
      const measurement = { chosen: choose(timings), measured: new Date().toISOString(), timings };
      await remember(this.#file, this.#key, what, measurement);
      return measurement;
    } catch (error) {
      if (this.#measure === "everything") throw error;
      return null; // a device that cannot even run says so when the model is opened on it
    }
  }
}

const isChunk = (value: unknown): value is number => CHUNKS.includes(value as number);

function isKernelChoice(value: unknown): value is KernelChoice {
  const { subgroups, threads } = (value ?? {}) as Partial<KernelChoice>;
  return typeof subgroups === "boolean" && Number.isInteger(threads) && threads! > 0;
}
