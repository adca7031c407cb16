/** How a model's layers are divided among stages. */
import type { LayerRange } from "./steps.ts";

/**
 * One range a stage, in order, whose sizes differ by one layer at most; the larger come first, since the last stage has
 * the head besides.
 * @throws RangeError unless 1 ≤ stages ≤ layers.
 */
export function partition(layers: number, stages: number): LayerRange[] {
  if (!Number.isInteger(stages) || stages < 1 || stages > layers) {
    throw new RangeError(`Cannot divide ${layers} layers among ${stages} stages: use 1 to ${layers} stages`);
  }
  const border = (stage: number) => Math.ceil(stage * layers / stages);
  return Array.from({ length: stages }, (_, stage) => ({ start: border(stage), end: border(stage + 1) }));
}

/**
 * As few ranges as can be that take `most` bytes each or less, and of these the ones whose largest takes the least; null if a layer by
 * itself takes more.
 * @param bytesOf what a range takes: the more layers, the more.
 */
export function partitionBySize(
  layers: number,
  bytesOf: (range: LayerRange) => number,
  most: number,
): LayerRange[] | null {
  let ranges = packed(layers, bytesOf, most);
  for (let [low, high] = [0, most]; ranges !== null && high - low > 1;) {
    const middle = Math.floor((low + high) / 2);
    const even = packed(layers, bytesOf, middle);
    if (even?.length === ranges.length) [ranges, high] = [even, middle];
    else low = middle;
  }
  return ranges;
}

/** Ranges that each take as many layers as `most` bytes hold; null if a layer by itself takes more. */
function packed(layers: number, bytesOf: (range: LayerRange) => number, most: number): LayerRange[] | null {
  const ranges: LayerRange[] = [];
  for (let start = 0, end = 0; start < layers; start = end) {
    while (end < layers && bytesOf({ start, end: end + 1 }) <= most) end++;
    if (end === start) return null;
    ranges.push({ start, end });
  }
  return ranges;
}

/**
 * Reads `0-9,10-19`, first and last layer of each stage, as half-open ranges.
 * @throws SyntaxError if it is written otherwise, RangeError unless the ranges cover layers 0 to `layers` − 1 in order.
 */
export function parseLayers(text: string, layers: number): LayerRange[] {
  const ranges = text.split(",").map(parseRange);
  let next = 0;
  for (const { start, end } of ranges) {
    if (start !== next) {
      const fault = start > next ? `layers ${next} to ${start - 1} are missing` : `layer ${start} is out of order`;
      throw new RangeError(`Cannot divide the layers as "${text}": ${fault}`);
    }
    next = end;
  }
  if (next !== layers) {
    throw new RangeError(
      `Cannot divide the layers as "${text}": the model's last layer is ${layers - 1}, not ${next - 1}`,
    );
  }
  return ranges;
}

/**
 * Reads `10-19`, first and last layer of one stage, as a half-open range.
 * @throws SyntaxError if it is written otherwise, RangeError if the model of so many `layers` does not have them.
 */
export function parseStage(text: string, layers: number): LayerRange {
  const range = parseRange(text);
  if (range.end <= layers) return range;
  throw new RangeError(`Cannot open layers ${text}: the model has layers 0 to ${layers - 1}`);
}

function parseRange(text: string): LayerRange {
  const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(text);
  if (!match) throw new SyntaxError(`Cannot read "${text}" as layers: write first and last layer, as in 0-9`);
  const start = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (last < start) throw new RangeError(`Cannot read "${text}" as layers: ${last} is less than ${start}`);
  return { start, end: last + 1 };
}
