/** Makes a checkpoint's tensors on a backend, in the types that the policy gives them, and streams their values there. */
import type { Backend, Linear, Norm } from "../backend/backend.ts";
import { ELEMENT_BYTES, type Tensor, type Weight, type WeightType } from "../backend/tensor.ts";
import type { GroupType } from "../formats/groups.ts";
import { readF32, readScales, type ScaleGrid, scaleGrid } from "../formats/quantization.ts";
import type { Checkpoint, TensorEntry } from "../formats/safetensors.ts";
import { storedBytes, type StoredWeight, storedWeight } from "../formats/stored_weight.ts";
import type { Quantize } from "../pipeline/messages.ts";
import type { ModelConfig } from "./config.ts";
import { groupPieces, groupRanges, makeGroups, readInGroups } from "./group_loader.ts";
import { heldType, isGroupType, isStoredAs } from "./quantization_policy.ts";
import { rowRanges, type Rows, SLICE_BYTES, type Transfer, WeightStream } from "./weight_stream.ts";
import type { Weights } from "./weights.ts";

const bytesOf = (values: Float32Array<ArrayBuffer>) =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A matrix by its name, or equal matrices that become one stack. */
export interface Stack {
  readonly label: string;
  readonly names: string | readonly string[];
}

/** A weight in the making: a stack [names, N, K], or one matrix [N, K]. */
interface Making {
  readonly label: string;
  readonly names: readonly string[];
  readonly shape: readonly number[];
}

/** Makes one stage's tensors as they are asked for; their values come with {@linkcode WeightLoader.load}. */
export class WeightLoader implements Weights {
  readonly #stream: WeightStream;

  /** `onBytes` hears the bytes loaded so far. */
  constructor(
    readonly backend: Backend,
    readonly config: ModelConfig,
    readonly checkpoint: Checkpoint,
    readonly quantize: Quantize,
    onBytes: (loaded: number) => void,
  ) {
    this.#stream = new WeightStream(backend, onBytes);
  }

  /** Reads and writes the values of all tensors made so far. Throws CheckpointError for values that cannot be used. */
  async load(): Promise<void> {
    await this.#stream.run();
  }

  /** Reads samples of the values back from the device. Throws Error for one that is not what was written. */
  async verify(): Promise<void> {
    await this.#stream.verify();
  }

  /** A tensor as f32 of its own shape: norms and biases. */
  vector(name: string): Promise<Tensor> {
    return Promise.try(() => {
      const stored = this.#stored(name);
      const tensor = this.backend.tensor(name, "f32", stored.shape);
      this.#add(stored, { firstRow: 0, rows: stored.shape[0]! }, async () => {
        const values = await readF32(this.checkpoint, name, this.config.weightBlock);
        return [{ tensor, offset: 0, bytes: bytesOf(values) }];
      });
      return tensor;
    });
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
  alike(stacks: readonly Stack[]): Promise<Weight[]> {
    return Promise.try(() => {
      const all = stacks.flatMap(({ names }) => names);
      const [type, ...others] = new Set(all.map((name) => heldType(this.quantize, name, this.#stored(name))));
      const mixed = others.length > 0 || (type === "f8_e4m3" && !this.#equalBlocks(all));
      return stacks.map((stack) => this.#stack(stack, mixed ? "f32" : type!));
    });
  }

  #stack({ label, names }: Stack, type: WeightType): Weight {
    const all = [names].flat();
    const { shape: one } = this.#stored(all[0]!);
    const making = { label, names: all, shape: typeof names === "string" ? one : [all.length, ...one] };
    if (isGroupType(type)) return this.#groups(making, type);
    const weight = this.#values(making, type);
    return type === "f8_e4m3" ? { ...weight, scales: this.#scales(making) } : weight;
  }

  /** Values as they are stored, or as f32. */
  #values({ label, names, shape }: Making, type: WeightType): Weight {
    const tensor = this.backend.tensor(label, type, shape);
    const [N, K] = shape.slice(-2) as [number, number];
    for (const [i, name] of names.entries()) {
      const stored = this.#stored(name);
      if (isStoredAs(type, stored)) {
        this.#copy(stored.entries[0]!, { tensor, firstRow: i * N }, storedBytes(stored));
        continue;
      }
      for (const rows of rowRanges(N, Math.max(1, Math.floor(SLICE_BYTES * N / storedBytes(stored))))) {
        this.#add(stored, rows, async () => {
          const bytes = bytesOf(await readF32(this.checkpoint, name, this.config.weightBlock, rows));
          return [{ tensor, offset: (i * N + rows.firstRow) * K, bytes }];
        });
      }
    }
    return { values: tensor, scales: null };
  }

  /** All rows of an entry as they are, to those of a tensor from `firstRow` on; `counted` bytes for who watches. */
  #copy(
    { name, shard, shape, begin, end }: TensorEntry,
    { tensor, firstRow }: { readonly tensor: Tensor; readonly firstRow: number },
    counted = end - begin,
  ): void {
    const N = shape[0]!;
    const rowBytes = (end - begin) / N;
    // An even number, so that those of factors, too, fill whole words.
    const most = 2 * Math.max(1, Math.floor(SLICE_BYTES / (2 * rowBytes)));
    for (const { firstRow: from, rows } of rowRanges(N, most)) {
      const offset = (firstRow + from) * rowBytes / ELEMENT_BYTES[tensor.dtype];
      const read = async (buffer: Uint8Array<ArrayBuffer>) => {
        const there = this.backend.inPlace?.(tensor, offset, rows * rowBytes);
        const bytes = await this.checkpoint.read(name, from, rows, there ?? buffer);
        return [{ tensor, offset, bytes, inPlace: there !== undefined }];
      };
      this.#stream.add({ shard, begin: begin + from * rowBytes, bytes: counted * rows / N, read });
    }
  }

  #groups({ label, names, shape }: Making, type: GroupType): Weight {
    const weight = makeGroups(this.backend, type, label, shape);
    const [N, K] = shape.slice(-2) as [number, number];
    for (const [i, name] of names.entries()) {
      const stored = this.#stored(name);
      if (isStoredAs(type, stored)) {
        const [codes, factors] = stored.entries as [TensorEntry, TensorEntry];
        this.#copy(codes, { tensor: weight.values, firstRow: i * N });
        this.#copy(factors, { tensor: weight.scales.factors, firstRow: i * N });
        continue;
      }
      for (const rows of groupRanges(N, K)) {
        this.#add(stored, rows, async () => {
          const groups = await readInGroups(this.checkpoint, type, name, this.config.weightBlock, rows);
          return groupPieces(weight, i * N + rows.firstRow, groups);
        });
      }
    }
    return weight;
  }

  /** The factors of FP8 values, one for each block of each matrix. */
  #scales({ label, names, shape }: Making): Weight["scales"] {
    const { block } = this.#grid(names[0]!);
    const [N, K] = shape.slice(-2) as [number, number];
    const perMatrix = [Math.ceil(N / block[0]), Math.ceil(K / block[1])] as const;
    const factors = this.backend.tensor(`${label} scales`, "f32", [...shape.slice(0, -2), ...perMatrix]);
    for (const [i, name] of names.entries()) {
      const grid = this.#grid(name);
      const { shard, begin } = grid.scales;
      const offset = i * perMatrix[0] * perMatrix[1];
      // Their bytes are counted with the values.
      this.#stream.add({
        ...{ shard, begin, bytes: 0 },
        read: async () => [{ tensor: factors, offset, bytes: bytesOf(await readScales(this.checkpoint, grid)) }],
      });
    }
    return { factors, block };
  }

  #stored(name: string): StoredWeight {
    return storedWeight(this.checkpoint, name, this.config.weightBlock);
  }

  #grid(name: string): ScaleGrid {
    return scaleGrid(this.checkpoint.tensors, this.checkpoint.entry(name), this.config.weightBlock);
  }

  #equalBlocks(names: readonly string[]): boolean {
    return new Set(names.map((name) => this.#grid(name).block.join(" "))).size === 1;
  }

  /** Some rows of a weight. */
  #add(stored: StoredWeight, { firstRow, rows }: Rows, read: Transfer["read"]): void {
    const { shard, begin, end } = stored.entries[0]!;
    const all = stored.shape[0]!;
    this.#stream.add({
      ...{ shard, begin: begin + (end - begin) * firstRow / all, bytes: storedBytes(stored) * rows / all },
      read,
    });
  }
}
