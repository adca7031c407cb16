/** Softmax attention of few rows: units of positions that workgroups share out, then all of a row's units merged. */
import { type BlockBinding, type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Heads } from "../backend.ts";
import { ELEMENT_BYTES, type Tensor } from "../tensor.ts";
import { type BoundBlock, type Cache, readiness } from "./cached_rows.ts";
import type { Device } from "./device.ts";
import type { Counts } from "./plan.ts";
import { type Recording, whole } from "./recording.ts";
import { computesByStrips } from "./software_products.ts";

/** Rows of few that go together: they share scratch memory for what their units give. */
const ROWS = 32;

/** Units that a row's positions are shared out to while a unit is smaller than a page, and the least of a unit (shaders/lib/units.wgsl). */
const WANTED = { hardware: 128, software: 4 } as const;
const LEAST_UNIT = 32;

/** Buffers of the kernel that makes the one row of a step ready, more than some devices allow, and of the one that takes rows as they are. */
const OWN_ROW_BUFFERS = 9;
const CACHED_ROWS_BUFFERS = 6;

/** Blocks that a kernel binds at once where a device allows so many buffers (shaders/lib/eight_blocks.wgsl), and how many more these are. */
const BLOCKS = 8;
const MORE_BUFFERS = 2 * (BLOCKS - 1);

/** Where a block begins that is not there. */
const NOWHERE = 2 ** 32 - 1;

const OWN_ROW = { ofOne: SHADERS.ownRowAttention, ofBlocks: SHADERS.ownRowOfBlocks } as const;
const CACHED_ROWS = { ofOne: SHADERS.softmaxAttention, ofBlocks: SHADERS.attentionOfBlocks } as const;

const binds = ({ gpu }: Device, buffers: number): boolean => gpu.limits.maxStorageBuffersPerShaderStage >= buffers;

/** Whether a device computes on the CPU, and rows of the cache are whole octets of channels for each lane. */
function byOctets(device: Device, { quads }: Cache, { headDim }: Heads): boolean {
  return computesByStrips(device) && headDim % (8 * device.lanes) === 0 && quads % 2 === 0;
}

/** Whether the kernel that attends appends the one row of a step as well. */
export function makesOwnRow({ capacity, device }: Recording, cache: Cache, how: Heads): boolean {
  return capacity.rows === 1 && !byOctets(device, cache, how) && binds(device, OWN_ROW_BUFFERS);
}

/** Rows that go together. */
interface Together {
  /** What their units leave to be merged. */
  readonly buffers: { readonly carry: GPUBuffer; readonly sums: GPUBuffer };
  readonly params: { readonly first_row: number; readonly rows: number; readonly units: number };
  readonly constants: Constants;
  readonly rowsOf: (counts: Counts) => number;
  readonly unitsOf: (counts: Counts) => number;
}

/** {@linkcode Ops.softmaxAttention} of rows that are in the cache, but for the one that {@linkcode makesOwnRow} is about. */
export function attendByUnits(recording: Recording, out: Tensor, qkv: Tensor, cache: Cache, how: Heads): void {
  const { heads, headDim } = how;
  const { capacity, device } = recording;
  const UNITS = device.software ? WANTED.software : WANTED.hardware;
  const mostUnits = (pages: number) => Math.max(Math.min(UNITS, pages * cache.page / LEAST_UNIT), pages);
  const units = mostUnits(capacity.pages ?? 0);
  const rowBytes = 4 * units * heads * headDim;
  const rows = Math.max(1, Math.min(ROWS, capacity.rows, Math.floor(device.maxBindingBytes / rowBytes)));
  const buffers = {
    carry: recording.scratch("carry", 2 * rows * units * heads),
    sums: recording.scratch("sums", rows * rowBytes / 4),
  };
  for (let first_row = 0; first_row < capacity.rows; first_row += rows) {
    const together: Together = {
      buffers,
      params: { first_row, rows, units },
      constants: { SIZE: headDim, PAGE: cache.page, UNITS },
      rowsOf: (counts) => Math.max(0, Math.min(rows, counts.rows - first_row)),
      unitsOf: (counts) => mostUnits(counts.pages),
    };
    attend(recording, qkv, cache, how, together);
    merge(recording, out, how, together);
  }
}

/** What each unit has of the result, of as many blocks at a time as the device binds. */
function attend(recording: Recording, qkv: Tensor, cache: Cache, how: Heads, together: Together): void {
  const { heads, kvHeads, headDim } = how;
  const { device } = recording;
  const QUERIES = [4, 3, 2, 1].find((count) => heads / kvHeads % count === 0)!;
  const octets = byOctets(device, cache, how);
  const own = makesOwnRow(recording, cache, how);
  const ready = readiness(recording, how);
  const slices = octets ? headDim / (8 * device.lanes) : 1;
  const constants = {
    ...{ ...together.constants, QUERIES },
    ...(octets ? { ROW: cache.quads / 2 } : lanesOf(device, cache)),
    ...(own && { ...ready.constants, TEAM: device.lanes }),
  };
  const most = !octets && binds(device, MORE_BUFFERS + (own ? OWN_ROW_BUFFERS : CACHED_ROWS_BUFFERS)) ? BLOCKS : 1;
  const kernels = own ? OWN_ROW : CACHED_ROWS;
  // A second block comes while sequences run, which are not to wait half a second for a compiler; on a CPU it would take longer than they.
  if (most > 1 && cache.blocks.length === 1 && !device.software) {
    recording.prepare(kernels.ofBlocks, { constants, cache: cache.type });
  }
  for (let i = 0; i < cache.blocks.length; i += most) {
    const blocks = cache.blocks.slice(i, i + most);
    recording.dispatch(
      octets ? SHADERS.softwareAttention : blocks.length > 1 ? kernels.ofBlocks : kernels.ofOne,
      {
        constants,
        cache: cache.type,
        workgroups: (counts) =>
          counts.blocks.slice(i, i + most).every((use) => use === "none")
            ? 0
            : together.rowsOf(counts) * heads / QUERIES * together.unitsOf(counts) * slices,
      },
      { qkv: whole(qkv), ...together.buffers, ...ready.buffers, ...bindingsOf(recording, blocks) },
      { heads, kv_heads: kvHeads, ...together.params, ...ready.params, ...pagesOf(blocks) },
    );
  }
}

function merge(recording: Recording, out: Tensor, { heads, headDim }: Heads, together: Together): void {
  const { buffers, params: { first_row, units }, constants, rowsOf } = together;
  const COLUMNS = Math.min(8, powerFrom(headDim / 4));
  recording.dispatch(
    SHADERS.mergeAttention,
    {
      constants: { ...constants, LANES: Math.max(COLUMNS, recording.device.wideLanes), COLUMNS },
      workgroups: (counts) => rowsOf(counts) * heads * Math.ceil(headDim / 4 / COLUMNS),
    },
    { ...buffers, out: whole(out) },
    { heads, first_row, units },
  );
}

/** What kernels that read these blocks bind; buffers for those that lack are no others', since kernels may write into them. */
function bindingsOf(recording: Recording, blocks: readonly BoundBlock[]): Readonly<Record<BlockBinding, GPUBuffer>> {
  const names = blocks.length === 1 ? [""] : Array.from({ length: BLOCKS }, (_, i) => String(i));
  const bindings = names.flatMap((name, i) => {
    const { keys, values } = blocks[i] ??
      { keys: recording.scratch(`no keys ${i}`, 4), values: recording.scratch(`no values ${i}`, 4) };
    return [[`keys${name}`, keys], [`values${name}`, values]] as const;
  });
  return Object.fromEntries(bindings) as Record<BlockBinding, GPUBuffer>;
}

/** The pages of some blocks. */
function pagesOf(blocks: readonly BoundBlock[]) {
  const [{ first }] = blocks as readonly [BoundBlock];
  const start = (i: number) => i < blocks.length ? blocks[i]!.first - first : NOWHERE;
  return {
    first,
    count: blocks.reduce((sum, { count }) => sum + count, 0),
    ...{ start1: start(1), start2: start(2), start3: start(3), start4: start(4) },
    ...{ start5: start(5), start6: start(6), start7: start(7) },
  };
}

/** How a workgroup's threads share out the chunks of a cached row: two subgroups where they run side by side. */
function lanesOf({ lanes, software }: Device, { quads, type }: Cache): Constants {
  const CHUNKS = quads * 4 * ELEMENT_BYTES[type] / 16;
  const VALUE_LANES = Math.max(2, powerFrom(CHUNKS));
  return { LANES: Math.max(VALUE_LANES, software ? lanes : 2 * lanes), CHUNKS, VALUE_LANES };
}

/** The least power of two that is `count` or more. */
function powerFrom(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
