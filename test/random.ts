/** Numbers by chance that are the same in every run. */

/** Gives whole numbers from 0 to below what is asked. */
export type Random = (below: number) => number;

/** Marsaglia's xorshift32. */
export function randomOf(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
