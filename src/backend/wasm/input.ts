/** What products are taken of: rows of numbers and, for weights in codes, the same rows as integers. */
import type { Ptr } from "../../../wasm/memory.ts";
import type { Weight } from "../tensor.ts";
import { TYPE_CODES } from "./binding.ts";

/** Which rows a product is taken of. */
export type RowCount = "rowCount" | "outputCount";

/** A type whose products are of integers, as kernels.h numbers it. */
export type CodeType = number;

/** The rows of one input. As integers they lie in the scratch of their label, where no other input of that label may be needed any more. */
export class Input {
  /** Where its rows lie as integers for a type. */
  readonly narrowed = new Map<CodeType, Ptr<"u32">>();

  /** `perCount` rows, [most · perCount, K], for each that a step has of `count`. */
  constructor(
    readonly label: "normed" | "input",
    readonly values: Ptr<"f32">,
    readonly count: RowCount,
    readonly most: number,
    readonly perCount = 1,
  ) {}
}

/** For weights in codes, their type. */
export function codeType({ values: { dtype } }: Weight): CodeType | null {
  return dtype === "q8" || dtype === "q4" ? TYPE_CODES[dtype]! : null;
}

/** Columns that share a scale, and the scales of a row are whole vectors. */
const GROUP = 32;
const VECTOR = 4;

/** Words of a row of K columns as integers: kernels.h. */
export function narrowedWords(type: CodeType, K: number): number {
  const scales = Math.ceil(K / GROUP / VECTOR) * VECTOR;
  return type === TYPE_CODES.q8 ? K / 2 + scales : K / 4 + 2 * scales;
}
