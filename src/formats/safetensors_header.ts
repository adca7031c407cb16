/** The header of one safetensors file: which tensors it holds, and where, with nothing taken on trust. */
import { CheckpointError, quoted, shown } from "./checkpoint_error.ts";
import type { Source } from "./source.ts";

/** One tensor of a checkpoint, row-major. */
export interface TensorEntry {
  readonly name: string;
  /** One of the format's names: `BF16`, `F32`, `F8_E4M3`, `I64`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** File name of the shard that holds it. */
  readonly shard: string;
  /** Bytes `[begin, end)` of that file. */
  readonly begin: number;
  readonly end: number;
}

/** The limit of the format's own library; Ring-flash's headers need 3 MB. */
const MAX_HEADER_BYTES = 100_000_000;

/** Bits of one element, for every type of the format. */
const BITS = new Map(Object.entries({
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8 },
  ...{ U16: 16, I16: 16, F16: 16, BF16: 16, U32: 32, I32: 32, F32: 32, U64: 64, I64: 64, F64: 64, C64: 64 },
}));

/** Length of the header, little-endian, before the header itself. */
const PREFIX_BYTES = 8;

/**
 * Reads and checks a shard's header. Its tensors must fill the rest of the file exactly, without overlap or gap, as the
 * format demands (huggingface/safetensors, README "Format").
 * @throws {CheckpointError} naming the file and the tensor
 */
export async function readHeader(source: Source, shard: string): Promise<TensorEntry[]> {
  const headerBytes = await headerLength(source);
  const header = parseHeader(source.name, await source.read(PREFIX_BYTES, headerBytes));
  const base = PREFIX_BYTES + headerBytes;
  const dataBytes = source.size - base;
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => {
      const tensor = parseTensor(source.name, name, value, dataBytes);
      return { name, shard, ...tensor, begin: base + tensor.begin, end: base + tensor.end };
    });
  checkLayout(source, base, entries);
  return entries;
}

function refuse(file: string, why: string): never {
  throw new CheckpointError(`Cannot read ${file} as safetensors: ${why}`);
}

async function headerLength(source: Source): Promise<number> {
  if (source.size < PREFIX_BYTES) {
    refuse(source.name, `it has ${source.size} bytes, and the length of its header alone takes ${PREFIX_BYTES}`);
  }
  const prefix = await source.read(0, PREFIX_BYTES);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    refuse(source.name, `it claims a header of ${length} bytes, and the format allows ${MAX_HEADER_BYTES}`);
  }
  const left = source.size - PREFIX_BYTES;
  if (length > left) {
    refuse(source.name, `it claims a header of ${length} bytes and has only ${left} more; it may be cut short`);
  }
  return Number(length);
}

function parseHeader(file: string, bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    refuse(file, "its header is not JSON");
  }
  return isObject(header) ? header : refuse(file, "its header is not a JSON object");
}

/** A tensor's description; `begin` and `end` count from the header's end, as in the file. */
function parseTensor(file: string, name: string, value: unknown, dataBytes: number) {
  const tensor = `tensor ${quoted(name)}`;
  if (!isObject(value)) refuse(file, `${tensor} is not described by a JSON object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === "string" ? BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    refuse(file, `${tensor} has dtype ${shown(dtype)}, not one of ${[...BITS.keys()].join(", ")}`);
  }
  if (!isCounts(shape)) refuse(file, `${tensor} has shape ${shown(shape)}, not a list of whole numbers`);
  const bytes = shape.reduce((product, size) => product * size, bits) / 8;
  // A product above 2^53 is inexact, but still above 2^53. Zeros don't excuse the other sizes.
  if (shape.reduce((product, size) => product * Math.max(size, 1), bits) > Number.MAX_SAFE_INTEGER) {
    refuse(file, `${tensor} has shape ${shown(shape)}, more than 2^53 bits`);
  }
  if (!isCounts(offsets) || offsets.length !== 2) {
    refuse(file, `${tensor} has data_offsets ${shown(offsets)}, not a pair of whole numbers`);
  }
  const [begin, end] = offsets as [number, number];
  if (end > dataBytes) {
    refuse(file, `${tensor} ends at byte ${end} of ${dataBytes} bytes of data; the file may be cut short`);
  }
  if (end - begin !== bytes) {
    refuse(file, `${tensor} takes bytes ${begin} to ${end}, and ${dtype} ${shown(shape)} needs ${bytes} bytes`);
  }
  return { dtype, shape, begin, end };
}

function checkLayout(source: Source, base: number, entries: readonly TensorEntry[]): void {
  let end = base;
  let previous = "the header";
  for (const entry of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const tensor = `tensor ${quoted(entry.name)}`;
    if (entry.begin < end) refuse(source.name, `${tensor} overlaps ${previous}`);
    if (entry.begin > end) refuse(source.name, `there is a gap of ${entry.begin - end} bytes before ${tensor}`);
    end = entry.end;
    previous = tensor;
  }
  if (end !== source.size) refuse(source.name, `${source.size - end} bytes follow ${previous} and belong to no tensor`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
