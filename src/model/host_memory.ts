/** The computer's own memory, as far as others leave any. */

/** Bytes that are left free of it. */
const RESERVE = 2 ** 28;

/** Bytes that may still be taken of it. */
export const hostRoom = (): number => Math.max(0, Deno.systemMemoryInfo().available - RESERVE);

/** Whether so many bytes more leave some of it free. */
export const hostHasRoom = (bytes: number): boolean => bytes <= hostRoom();
