/** Where a model's weights come from: a checkpoint, or chance. */
import type { Backend, Linear, Norm } from "../backend/backend.ts";
import type { Tensor, Weight } from "../backend/tensor.ts";
import type { ModelConfig } from "./config.ts";
import type { Stack } from "./loader.ts";

/** Brings tensors by their names onto a backend. */
export interface Weights {
  readonly backend: Backend;
  readonly config: ModelConfig;
  /** f32, of its own shape. */
  vector(name: string): Promise<Tensor>;
  norm(name: string): Promise<Norm>;
  /** [N, K] */
  matrix(name: string): Promise<Weight>;
  linear(name: string, bias: boolean): Promise<Linear>;
  /** Matrices [N, K] and stacks [names, N, K], all of one type. */
  alike(stacks: readonly Stack[]): Promise<Weight[]>;
}
