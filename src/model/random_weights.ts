/** Weights by chance, made where they lie: a model of any size without its checkpoint, for measuring. */
import type { Backend, Linear, Norm, RandomValues } from "../backend/backend.ts";
import { byteLength, type Tensor, type Weight, type WeightType } from "../backend/tensor.ts";
import type { ModelConfig } from "./config.ts";
import type { Stack } from "./loader.ts";
import { expectedTensors } from "./tensor_names.ts";
import type { Weights } from "./weights.ts";

const EMBEDDING = "model.word_embeddings.weight";

/** Values as those of a trained model: rows of a norm's size stay of that size through any map, and experts are chosen evenly. */
export class RandomWeights implements Weights {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  #loaded = 0;

  /** `typeOf` says in what a matrix is held; `onBytes` hears the bytes made so far. */
  constructor(
    readonly backend: Backend,
    readonly config: ModelConfig,
    readonly typeOf: (name: string, shape: readonly number[]) => WeightType,
    readonly onBytes: (made: number) => void,
  ) {
    this.#shapes = new Map([...expectedTensors(config)].map(({ name, shape }) => [name, shape]));
  }

  vector(name: string): Promise<Tensor> {
    const values = name.endsWith("norm.weight") ? { centre: 1, spread: 0.2 } : { centre: 0, spread: 0.01 };
    return this.#filled(name, "f32", this.#shape(name), values);
  }

  async norm(name: string): Promise<Norm> {
    return { weight: await this.vector(name), eps: this.config.rmsNormEps };
  }

  async matrix(name: string): Promise<Weight> {
    const [weight] = await this.alike([{ label: name, names: name }]);
    return weight!;
  }

  async linear(name: string, bias: boolean): Promise<Linear> {
    return { weight: await this.matrix(`${name}.weight`), bias: bias ? await this.vector(`${name}.bias`) : null };
  }

  async alike(stacks: readonly Stack[]): Promise<Weight[]> {
    const weights: Weight[] = [];
    for (const stack of stacks) weights.push(await this.#stack(stack));
    return weights;
  }

  async #stack({ label, names }: Stack): Promise<Weight> {
    const name = [names].flat()[0]!;
    const one = this.#shape(name);
    const shape = typeof names === "string" ? one : [names.length, ...one];
    const variance = name === EMBEDDING ? 1 : 1 / shape.at(-1)!;
    const spread = Math.sqrt(3 * variance);
    return { values: await this.#filled(label, this.typeOf(name, one), shape, { centre: 0, spread }), scales: null };
  }

  #shape(name: string): readonly number[] {
    return this.#shapes.get(name)!;
  }

  async #filled(
    label: string,
    type: WeightType,
    shape: readonly number[],
    values: Omit<RandomValues, "seed">,
  ): Promise<Tensor> {
    const tensor = this.backend.tensor(label, type, shape);
    await this.backend.fill(tensor, { ...values, seed: seedOf(label) });
    this.#loaded += byteLength(tensor);
    this.onBytes(this.#loaded);
    return tensor;
  }
}

/** FNV-1a, so that a tensor has the same values on whichever stage it lies. */
function seedOf(label: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
