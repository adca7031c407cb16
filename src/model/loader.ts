/** Brings a checkpoint's tensors onto a backend, a slice at a time, in the type that the policy gives them. */
import type { Backend, Linear, Norm } from "../backend/backend.ts";
import { elements, type Tensor, type Weight, type WeightType } from "../backend/tensor.ts";
import { readF32, readScales, type ScaleGrid, scaleGrid } from "../formats/quantization.ts";
import type { Checkpoint } from "../formats/safetensors.ts";
import { storedBytes, type StoredWeight, storedWeight } from "../formats/stored_weight.ts";
import type { Quantize } from "../pipeline/messages.ts";
import type { ModelConfig } from "./config.ts";
import { loadGroups } from "./group_loader.ts";
import { heldType, isGroupType, isStoredAs } from "./quantization_policy.ts";

/** Bytes read at once: large enough for the disk, small beside the model. */
const SLICE_BYTES = 32 * 2 ** 20;

const bytesOf = (values: Float32Array<ArrayBuffer>) =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A matrix by its name, or equal matrices that become one stack. */
export interface Stack {
  readonly label: string;
  readonly names: string | readonly string[];
}

/** Loads one stage's tensors and counts their bytes. */
export class WeightLoader {
  #loaded = 0;

  /** `onBytes` hears the bytes loaded so far. */
  constructor(
    readonly backend: Backend,
    readonly config: ModelConfig,
    readonly checkpoint: Checkpoint,
    readonly quantize: Quantize,
    readonly onBytes: (loaded: number) => void,
  ) {}

  /** A tensor as f32 of its own shape: norms and biases. */
  async vector(name: string): Promise<Tensor> {
    const values = await readF32(this.checkpoint, name, this.config.weightBlock);
    const tensor = this.backend.tensor(name, "f32", this.checkpoint.entry(name).shape);
    await this.backend.write(tensor, 0, bytesOf(values));
    this.#count(name);
    return tensor;
  }

  /** A norm's weight, with the model's epsilon. */
  async norm(name: string): Promise<Norm> {
    return { weight: await this.vector(name), eps: this.config.rmsNormEps };
  }

  /** A matrix [N, K]. */
  async matrix(name: string): Promise<Weight> {
    const [weight] = await this.alike([{ label: name, names: name }]);
    return weight!;
  }

  /** A map with its bias, where the configuration has one. */
  async linear(name: string, bias: boolean): Promise<Linear> {
    return { weight: await this.matrix(`${name}.weight`), bias: bias ? await this.vector(`${name}.bias`) : null };
  }

  /**
   * Matrices [N, K] and stacks [names, N, K], all of one type: the one that the policy gives them, or f32 where it gives
   * several or their blocks of scales differ.
   */
  async alike(stacks: readonly Stack[]): Promise<Weight[]> {
    const all = stacks.flatMap(({ names }) => names);
    const [type, ...others] = new Set(all.map((name) => this.#type(name)));
    const mixed = others.length > 0 || (type === "f8_e4m3" && !this.#equalBlocks(all));
    const weights: Weight[] = [];
    for (const stack of stacks) weights.push(await this.#stack(stack, mixed ? "f32" : type!));
    return weights;
  }

  async #stack(stack: Stack, type: WeightType): Promise<Weight> {
    const { label } = stack;
    const names = [stack.names].flat();
    const { shape: one } = this.#stored(names[0]!);
    const shape = typeof stack.names === "string" ? one : [names.length, ...one];
    if (isGroupType(type)) return await loadGroups(this, type, label, names, shape, (name) => this.#count(name));
    const weight = await this.#copy(label, names, shape, type);
    return type === "f8_e4m3" ? { ...weight, scales: await this.#scales(label, this.#grids(names), shape) } : weight;
  }

  #stored(name: string): StoredWeight {
    return storedWeight(this.checkpoint, name, this.config.weightBlock);
  }

  #type(name: string): WeightType {
    return heldType(this.quantize, name, this.#stored(name));
  }

  #grids(names: readonly string[]): readonly ScaleGrid[] {
    const { tensors } = this.checkpoint;
    return names.map((name) => scaleGrid(tensors, this.checkpoint.entry(name), this.config.weightBlock));
  }

  #equalBlocks(names: readonly string[]): boolean {
    return new Set(this.#grids(names).map(({ block }) => block.join(" "))).size === 1;
  }

  async #copy(label: string, names: readonly string[], shape: readonly number[], type: WeightType): Promise<Weight> {
    const values = this.backend.tensor(label, type, shape);
    const size = elements(shape) / names.length;
    for (const [i, name] of names.entries()) {
      const stored = isStoredAs(type, this.#stored(name));
      for await (const { firstRow, bytes } of this.#slices(name, stored)) {
        await this.backend.write(values, i * size + firstRow * shape.at(-1)!, bytes);
      }
      this.#count(name);
    }
    return { values, scales: null };
  }

  /** A matrix in slices of rows, as it is stored or as f32. */
  async *#slices(name: string, stored: boolean): AsyncGenerator<{ firstRow: number; bytes: Uint8Array }> {
    const weight = this.#stored(name);
    const total = weight.shape[0]!;
    const step = Math.max(1, Math.floor(SLICE_BYTES / (storedBytes(weight) / total)));
    for (let firstRow = 0; firstRow < total; firstRow += step) {
      const rows = Math.min(step, total - firstRow);
      const bytes = stored
        ? await this.checkpoint.read(name, firstRow, rows)
        : bytesOf(await readF32(this.checkpoint, name, this.config.weightBlock, { firstRow, rows }));
      yield { firstRow, bytes };
    }
  }

  async #scales(label: string, grids: readonly ScaleGrid[], shape: readonly number[]): Promise<Weight["scales"]> {
    const { block } = grids[0]!;
    const [N, K] = shape.slice(-2) as [number, number];
    const perMatrix = [Math.ceil(N / block[0]), Math.ceil(K / block[1])] as const;
    const factors = this.backend.tensor(`${label} scales`, "f32", [...shape.slice(0, -2), ...perMatrix]);
    for (const [i, grid] of grids.entries()) {
      const offset = i * perMatrix[0] * perMatrix[1];
      await this.backend.write(factors, offset, bytesOf(await readScales(this.checkpoint, grid)));
    }
    return { factors, block };
  }

  #count(name: string): void {
    this.#loaded += storedBytes(this.#stored(name));
    this.onBytes(this.#loaded);
  }
}
