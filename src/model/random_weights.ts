/** Weights by chance, made where they lie: a model of any size without its checkpoint, for measuring. */
import type { Backend, Linear, Norm, RandomValues } from "../backend/backend.ts";
import { byteLength, type Tensor, type Weight, type WeightType } from "../backend/tensor.ts";
import { GROUP } from "../formats/groups.ts";
import { factorShape } from "../formats/stored_groups.ts";
import type { ModelConfig } from "./config.ts";
import type { Stack } from "./loader.ts";
import { isGroupType } from "./quantization_policy.ts";
import { expectedTensors, type NamedShape } from "./tensor_names.ts";
import type { Weights } from "./weights.ts";

/** How much larger values are than their factors: the mean of code² of q8, from -127 to 127, and of code² + 1 of q4, from 0 to 15. */
const CODE_VARIANCE = { q8: 127 * 128 / 3, q4: 15 * 31 / 6 + 1 } as const;

const EMBEDDING = "model.word_embeddings.weight";

/** Values as those of a trained model: rows of a norm's size stay of that size through any map, and experts are chosen evenly. */
export class RandomWeights implements Weights {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  #loaded = 0;

  /** `typeOf` says in what a matrix is held; `onBytes` hears the bytes made so far. */
  constructor(
    readonly backend: Backend,
    readonly config: ModelConfig,
    readonly typeOf: (matrix: NamedShape) => WeightType,
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
    const type = this.typeOf({ name, shape: one });
    const values = await this.#filled(label, type, shape, evenly(variance));
    if (!isGroupType(type)) return { values, scales: null };
    const spread = evenly(variance / CODE_VARIANCE[type]);
    const factors = await this.#filled(`${label} factors`, "f16", factorShape(type, shape), spread);
    return { values, scales: { factors, block: [1, GROUP] } };
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

const evenly = (variance: number) => ({ centre: 0, spread: Math.sqrt(3 * variance) });

/** FNV-1a, so that a tensor has the same values on whichever stage it lies. */
function seedOf(label: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
