/** Prompts for the engine over fake stages. */
import { VOCABULARY } from "../stage/fake_stage.ts";

/** `length` tokens that differ with `seed`. */
export function text(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 31 + i * i * 7 + i) % VOCABULARY);
}
