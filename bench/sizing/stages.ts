/** Stages of a model on one kind of device: what they take in memory, and how long their steps are by what they must move and compute. */
import { expectedTensors } from "../../src/model/tensor_names.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { ModelWork } from "../../src/model/work.ts";
import type { KvCacheType, Quantize } from "../../src/pipeline/messages.ts";
import { partition } from "../../src/pipeline/partition.ts";
import type { LayerRange, Segment } from "../../src/pipeline/steps.ts";
import { randomBytesOf } from "../../src/stage/random.ts";
import { stageSize } from "../../src/stage/size.ts";

/** A device by what was measured of it, not by its data sheet. */
export interface Device {
  readonly name: string;
  /** That a step moves in a second: of one row, and of several. */
  readonly rowBytesPerSecond: number;
  readonly rowsBytesPerSecond: number;
  /** Of a prompt's chunk. */
  readonly flopsPerSecond: number;
  /** Of a step besides: it is taken up, submitted, waited for and read back. */
  readonly overheadMillis: number;
  /** The same for each further row. */
  readonly rowOverheadMillis: number;
}

export interface Sizing {
  readonly config: ModelConfig;
  readonly quantize: Quantize;
  readonly kvCache: KvCacheType;
  readonly stages: number;
  /** Sequences, and positions of each. */
  readonly slots: number;
  readonly context: number;
  /** Rows of a prompt's chunk. */
  readonly chunk: number;
}

export const rangesOf = ({ config, stages }: Sizing): LayerRange[] => partition(config.layers, stages);

/** Bytes that some layers take with all slots full. */
export function memoryBytes({ config, quantize, stages, chunk, ...options }: Sizing, layers: LayerRange): number {
  const weights = expectedTensors(config, layers).map(randomBytesOf(quantize)).reduce((sum, bytes) => sum + bytes);
  const keptLogits = stages - 1;
  const size = stageSize(config, { ...options, layers, maxRows: chunk, keptLogits, snapshots: 0 }, weights);
  return size.weightBytes + size.stateBytes + size.cacheBytes + size.activationBytes;
}

/** Tells the milliseconds of a step of so many rows on a stage: of one sequence each behind `cached` tokens, or of a prompt. */
export function stepMillis(
  { config, quantize, kvCache }: Sizing,
  { start, end }: LayerRange,
  device: Device,
  cached: number | "prompt",
): (rows: number) => number {
  const work = new ModelWork(config, randomBytesOf(quantize), kvCache);
  const share = (end - start) / config.layers;
  return (rows) => {
    const segment = (start: number, rows: number): Segment => ({ slot: 0, start, rows });
    const segments = cached === "prompt" ? [segment(0, rows)] : Array.from({ length: rows }, () => segment(cached, 1));
    const [layers, all] = [0, cached === "prompt" ? 1 : rows].map((outputs) => work.step({ segments, outputs }));
    // The head belongs to the last stage.
    const part = (total: "weightBytes" | "stateBytes" | "cacheBytes" | "flops") =>
      share * layers![total] + (end === config.layers ? all![total] - layers![total] : 0);
    const bytes = part("weightBytes") + part("stateBytes") + part("cacheBytes");
    const moving = bytes / (rows === 1 ? device.rowBytesPerSecond : device.rowsBytesPerSecond);
    const computing = part("flops") / device.flopsPerSecond;
    return device.overheadMillis + (rows - 1) * (cached === "prompt" ? 0 : device.rowOverheadMillis) +
      1e3 * Math.max(moving, computing);
  };
}
