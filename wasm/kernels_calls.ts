/** Kernels by their numbers, generated from kernels.h by build.ts. Do not edit. */

/** In the order of their numbers, with those of their arguments that are floats. */
export const KERNELS = [
  { name: "embed", floats: [] },
  { name: "rms_norm", floats: [3] },
  { name: "matmul", floats: [] },
  { name: "narrow", floats: [] },
  { name: "matmul_codes", floats: [] },
  { name: "silu", floats: [] },
  { name: "swiglu", floats: [] },
  { name: "norm_rope", floats: [5] },
  { name: "linear_attention", floats: [] },
  { name: "group_norm_gate", floats: [3] },
  { name: "append", floats: [] },
  { name: "attention", floats: [] },
  { name: "sigmoid", floats: [] },
  { name: "softmax", floats: [] },
  { name: "choose", floats: [9] },
  { name: "sort_by_expert", floats: [] },
  { name: "experts_matmul", floats: [] },
  { name: "experts_matmul_codes", floats: [] },
  { name: "combine", floats: [] },
  { name: "candidates", floats: [] },
  { name: "draw", floats: [] },
  { name: "exponential", floats: [] },
] as const;
