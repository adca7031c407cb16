/** What was measured of devices (docs/SPEED.md), for {@linkcode stepMillis}. */
import type { Quantize } from "../../src/pipeline/messages.ts";
import type { Device } from "./stages.ts";

/** Rows of a prompt's chunk while nobody else is answered. */
const GPU_CHUNK = 2048, CPU_CHUNK = 512;

/**
 * Of a step of one row in BF16 1.67 ms for 2.6 GB, of 32 rows 10.6 ms for 22.6 GB; in 4 bits 1.37 ms for 1.2 GB. Of a prompt 310 ms for
 * 8.20 TFLOP ("H100: where it stands"). What a stage takes besides is what two stages on two GPUs took ("Several stages").
 */
const H100 = { flopsPerSecond: 26.5e12, overheadMillis: 0.7, rowOverheadMillis: 0.034, chunk: GPU_CHUNK };

export const DEVICES: Readonly<
  Record<string, Partial<Readonly<Record<Quantize, Device & { readonly chunk: number }>>>>
> = {
  h100: {
    none: { name: "H100 80GB", rowBytesPerSecond: 1.55e12, rowsBytesPerSecond: 2.13e12, ...H100 },
    // Of several rows in 4 bits nothing was measured: as if they gained what they do in BF16.
    q4: { name: "H100 80GB", rowBytesPerSecond: 0.88e12, rowsBytesPerSecond: 1.2e12, ...H100 },
  },
  // 14.7 tok/s of Ring-mini in 4 bits, and prompts of 512 tokens at 100 GFLOP/s ("A model larger than a WASM memory", "On a CPU").
  cpu: {
    q4: {
      ...{ name: "2 cores of an EPYC", rowBytesPerSecond: 17.6e9, rowsBytesPerSecond: 17.6e9, flopsPerSecond: 100e9 },
      ...{ overheadMillis: 0.35, rowOverheadMillis: 0, chunk: CPU_CHUNK },
    },
  },
};
