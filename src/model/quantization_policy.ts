/** Which matrices are held in which type on the device. */
import type { WeightType } from "../backend/tensor.ts";
import { fitsGroups, type GroupType } from "../formats/groups.ts";
import type { StoredWeight } from "../formats/stored_weight.ts";
import type { Quantize } from "../pipeline/messages.ts";

/** Bits of a value, the factors of its group included. */
const BITS: Readonly<Record<WeightType, number>> = { f32: 32, bf16: 16, f16: 16, f8_e4m3: 8, q8: 8.5, q4: 5 };

/** The type in which a stored weight is held if no other is asked for. */
const STORED_TYPES: Readonly<Record<StoredWeight["type"], WeightType>> = {
  ...{ BF16: "bf16", F16: "f16", F32: "f32", F8_E4M3: "f8_e4m3" } as const,
  ...{ q8: "q8", q4: "q4", "packed-q4": "q4", packed: "f32" } as const,
};

/** A wrong choice of experts costs more than the router's few bytes. */
const ROUTER = /\.mlp\.gate\.weight$/;

/** Nine tenths of the parameters, each used for few tokens; the others lose more at 4 bits than they save. */
const ROUTED_EXPERT = /\.mlp\.experts\.\d+\.\w+\.weight$/;

/** The type that is wanted for a matrix; null for its own. */
function wantedType(quantize: Quantize, name: string): GroupType | null {
  if (quantize === "none" || ROUTER.test(name)) return null;
  return quantize === "q4" && ROUTED_EXPERT.test(name) ? "q4" : "q8";
}

/**
 * The type in which a matrix of that name is held: the policy's where that is smaller than the stored one and rows come in
 * whole groups of 32, else the stored one. A router is never held in groups.
 */
export function heldType(quantize: Quantize, name: string, { type, shape }: StoredWeight): WeightType {
  const stored = STORED_TYPES[type];
  if (ROUTER.test(name) && isGroupType(stored)) return "f32";
  const wanted = wantedType(quantize, name);
  return wanted !== null && BITS[wanted] < BITS[stored] && fitsGroups(shape) ? wanted : stored;
}

/** Whether the bytes of a type are the stored ones. */
export function isStoredAs(type: WeightType, stored: StoredWeight): boolean {
  return STORED_TYPES[stored.type] === type && !stored.type.startsWith("packed");
}

export function isGroupType(type: WeightType): type is GroupType {
  return type === "q8" || type === "q4";
}

/** Bytes of so many values in a type. */
export function heldBytes(type: WeightType, values: number): number {
  return values * BITS[type] / 8;
}
