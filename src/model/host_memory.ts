/** The computer's own memory, as far as others leave any. */

/** Bytes that are left free of it. */
const RESERVE = 2 ** 28;

/** Whether so many bytes more leave some of it free. */
export const hostHasRoom = (bytes: number): boolean => bytes + RESERVE <= Deno.systemMemoryInfo().available;
