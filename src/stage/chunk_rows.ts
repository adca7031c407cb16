/** How many rows a prefill step had best have on a device: one layer of the model, with random weights, in steps of several sizes. */
import { median, type Timing } from "../backend/webgpu/tuning.ts";
import type { ModelConfig } from "../model/config.ts";
import type { GpuProvider, Quantize } from "../pipeline/messages.ts";
import type { Step } from "../pipeline/steps.ts";
import { openRandomModel } from "./random.ts";

/** Rows to choose among, ascending. Fewer leave experts idle, more take half a gigabyte of memory each time. */
export const CHUNKS: readonly number[] = [512, 1024, 2048, 4096];

/** A smaller step is taken if it loses no more than this: it holds up others for less time, and takes less memory. */
const TOLERANCE = 0.05;

/** Odd, for the median; as many as there is time for. */
const ROUNDS = 5;
const MEASURE_MILLIS = 1000;

/** Of the sizes, the smallest that computes nearly as many rows a second as the best; where none was timed, the least of all. */
export function bestChunk(timings: readonly Timing<number>[]): number {
  if (timings.length === 0) return CHUNKS[0]!;
  const rate = ({ choice, millis }: Timing<number>) => choice / millis;
  const most = Math.max(...timings.map(rate));
  const good = timings.filter((timing) => rate(timing) >= (1 - TOLERANCE) * most);
  return Math.min(...good.map(({ choice }) => choice));
}

/**
 * Milliseconds that steps of `chunks` rows take, as far as there is time to measure them; no checkpoint is needed.
 * @throws as opening a model does
 */
export async function timeChunks(
  config: ModelConfig,
  { gpu, quantize }: { readonly gpu: GpuProvider; readonly quantize: Quantize },
  chunks: readonly number[] = CHUNKS,
): Promise<Timing<number>[]> {
  const most = Math.max(...chunks);
  const layer = Math.min(config.firstDense, config.layers - 1); // the first that has experts
  const { model } = await openRandomModel(config, {
    ...{ model: "", layers: { start: layer, end: layer + 1 }, backend: "webgpu", gpu, quantize, randomWeights: true },
    ...{ decay: "serving", ropeScaling: null, kvCache: "f32", slots: 1, context: most, maxRows: most, profile: true },
  }, () => {});
  using _model = model;
  const input = layer === 0 ? new Uint32Array(most) : hiddenRows(most * config.hidden);
  const samples = new Map(chunks.map((rows): [number, number[]] => [rows, []]));
  const end = performance.now() + MEASURE_MILLIS;
  for (let round = 0; round <= ROUNDS; round++) {
    for (const rows of chunks) {
      const millis = await run(rows);
      if (round > 0) samples.get(rows)!.push(millis); // in the first one the driver compiles
      if (performance.now() > end) return timingsOf(samples);
    }
  }
  return timingsOf(samples);

  async function run(rows: number): Promise<number> {
    const step: Step = { id: 0, segments: [{ slot: 0, start: 0, rows }], outputs: new Uint32Array() };
    const begun = performance.now();
    await model.forward(step, input.subarray(0, rows * input.length / most));
    return model.gpuMillis ?? performance.now() - begun;
  }
}

/** Different rows, so that they are spread over the experts: a generator's numbers from -1 to 1. */
export function hiddenRows(length: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Those that were timed. */
function timingsOf(samples: ReadonlyMap<number, readonly number[]>): Timing<number>[] {
  const timed = [...samples].filter(([, millis]) => millis.length > 0);
  return timed.map(([choice, millis]) => ({ choice, millis: median(millis) }));
}
