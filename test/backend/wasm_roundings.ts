/** What the WASM backend's integers cost: how far products may be from those of the numbers that were rounded. */
import type { Roundings } from "./cases.ts";

/**
 * A row is rounded in groups of 32 before it is multiplied with weights in codes: for q8 to 65,534ths of the group's greatest, for q4 to
 * 254ths. Products of integers themselves are as exact as others (wasm_codes_test.ts).
 */
export const WASM_ROUNDINGS: Roundings = { q8: 1e-4, q4: 2e-2 };
