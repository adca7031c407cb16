/** Softmax attention over a cache in pages: rows made ready, then few rows by units of positions, or many by spans. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { CacheBlock, Heads } from "../backend.ts";
import { ELEMENT_BYTES, type Tensor } from "../tensor.ts";
import { checkHeads } from "./attention_ops.ts";
import type { Device } from "./device.ts";
import type { Counts } from "./plan.ts";
import { bySpans, flashAttention } from "./prefill_attention.ts";
import { type DispatchOptions, type Recording, whole } from "./recording.ts";
import { computesByStrips } from "./software_products.ts";

/** A layer's cache as kernels bind it. */
export interface Cache {
  readonly type: "f32" | "f16";
  /** Positions of a page. */
  readonly page: number;
  /** vec4s of a row of one head, the zeros at its end included. */
  readonly quads: number;
  readonly blocks: readonly BoundBlock[];
}

interface BoundBlock {
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
  /** Its pages. */
  readonly first: number;
  readonly count: number;
}

/** Rows of few that go together: they share scratch memory for what their units give. */
const ROWS = 32;

/** Units that a row's positions are shared out to while a unit is smaller than a page, and the least of a unit (shaders/lib/units.wgsl). */
const UNITS = { hardware: 64, software: 4 } as const;
const LEAST_UNIT = 32;

export function softmaxAttention(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  blocks: readonly CacheBlock[],
  how: Heads,
): void {
  checkHeads(how);
  const cache = bind(recording, blocks, how);
  if (how.rope !== null) recording.bounds({ context: how.rope.shape[0]! });
  const spans = bySpans(recording, how);
  if (spans || !makesOwnRow(recording, cache, how)) append(recording, qkv, cache, how);
  if (spans) flashAttention(recording, out, qkv, cache, how);
  else attendByUnits(recording, out, qkv, cache, how);
}

/** Buffers of the kernel that makes the one row of a step ready, more than some devices allow. */
const OWN_ROW_BUFFERS = 9;

/** Whether the kernel that attends appends the one row of a step as well. */
function makesOwnRow(recording: Recording, cache: Cache, how: Heads): boolean {
  const { capacity, device } = recording;
  return capacity.rows === 1 && !byOctets(device, cache, how) &&
    device.gpu.limits.maxStorageBuffersPerShaderStage >= OWN_ROW_BUFFERS;
}

/** Whether a device computes on the CPU, and rows of the cache are whole octets of channels for each lane. */
function byOctets(device: Device, { quads }: Cache, { headDim }: Heads): boolean {
  return computesByStrips(device) && headDim % (8 * device.lanes) === 0 && quads % 2 === 0;
}

/** @throws {RangeError} for pages that kernels cannot read */
function bind(recording: Recording, all: readonly CacheBlock[], { headDim }: Heads): Cache {
  const { dtype: type, shape } = all[0]!.keys;
  const [page, width] = shape.slice(-2) as [number, number];
  if (type !== "f32" && type !== "f16") throw new TypeError(`Cannot keep keys as ${type}: use f32 or f16`);
  if (width < headDim || width * ELEMENT_BYTES[type] % 16 !== 0) {
    throw new RangeError(`Cannot keep ${headDim} channels in rows of ${width}: kernels read 16 bytes at a time`);
  }
  if (page < 64 || (page & (page - 1)) !== 0) {
    throw new RangeError(`Cannot use pages of ${page} positions: use a power of two from 64 on`);
  }
  let end = 0;
  const blocks = all.map(({ keys, values }): BoundBlock => {
    const [first, count] = [end, keys.shape[0]!];
    end += count;
    return { keys: whole(keys, type), values: whole(values, type), first, count };
  });
  recording.paged({ size: page, bounds: [...blocks.map(({ first }) => first), end] });
  return { type, page, quads: width / 4, blocks };
}

/** Norm and rotation of q in place and of k into the cache, v into the cache. */
function append(recording: Recording, qkv: Tensor, cache: Cache, how: Heads): void {
  const { heads, kvHeads, headDim } = how;
  const { constants, buffers, params } = readiness(recording, how);
  cache.blocks.forEach(({ keys, values, first, count }, i) =>
    recording.dispatch(
      SHADERS.append,
      {
        constants: { SIZE: headDim, PAGE: cache.page, QUADS: cache.quads, ...constants },
        cache: cache.type,
        workgroups: ({ rows, blocks }) => blocks[i] === "written" ? rows * (heads + 2 * kvHeads) : 0,
      },
      { ...buffers, qkv: whole(qkv), keys, values },
      { ...params, heads, kv_heads: kvHeads, first, count },
    )
  );
}

/** What shaders/lib/ready_heads.wgsl needs. */
function readiness({ memory: { nothing } }: Recording, { silu, queryNorm, keyNorm, rope }: Heads) {
  return {
    constants: { SILU: silu, NORM: queryNorm !== null, ROTATE: rope !== null },
    buffers: {
      query_weight: queryNorm === null ? nothing : whole(queryNorm.weight),
      key_weight: keyNorm === null ? nothing : whole(keyNorm.weight),
      rope: rope === null ? nothing : whole(rope),
    },
    params: {
      half: rope?.shape.at(-1) ?? 0,
      query_epsilon: queryNorm?.eps ?? 0,
      key_epsilon: keyNorm?.eps ?? 0,
    },
  };
}

function attendByUnits(
  recording: Recording,
  out: Tensor,
  qkv: Tensor,
  cache: Cache,
  how: Heads,
): void {
  const { type, page, quads, blocks } = cache;
  const { heads, kvHeads, headDim } = how;
  const { capacity, device } = recording;
  const wanted = device.software ? UNITS.software : UNITS.hardware;
  const mostUnits = (pages: number) => Math.max(Math.min(wanted, pages * page / LEAST_UNIT), pages);
  const units = mostUnits(capacity.pages ?? 0);
  const rowBytes = 4 * units * heads * headDim;
  const rows = Math.max(1, Math.min(ROWS, capacity.rows, Math.floor(device.maxBindingBytes / rowBytes)));
  const carry = recording.scratch("carry", 2 * rows * units * heads);
  const sums = recording.scratch("sums", rows * rowBytes / 4);
  const QUERIES = [4, 3, 2, 1].find((count) => heads / kvHeads % count === 0)!;
  const COLUMNS = Math.min(8, powerFrom(headDim / 4));
  const shared: Constants = { SIZE: headDim, PAGE: page, UNITS: wanted };
  const octets = byOctets(device, cache, how);
  const own = makesOwnRow(recording, cache, how);
  const ready = readiness(recording, how);
  const slices = octets ? headDim / (8 * device.lanes) : 1;
  const constants = {
    ...{ ...shared, QUERIES },
    ...(octets ? { ROW: quads / 2 } : lanesOf(device, quads, type)),
    ...(own && { ...ready.constants, TEAM: device.lanes }),
  };
  for (let first_row = 0; first_row < capacity.rows; first_row += rows) {
    const together = (counts: Counts) => Math.max(0, Math.min(rows, counts.rows - first_row));
    blocks.forEach(({ keys, values, first, count }, i) => {
      const options: DispatchOptions = {
        constants,
        cache: type,
        workgroups: (counts) =>
          counts.blocks[i] === "none" ? 0 : together(counts) * heads / QUERIES * mostUnits(counts.pages) * slices,
      };
      const buffers = { qkv: whole(qkv), keys, values, carry, sums };
      const params = { heads, kv_heads: kvHeads, first, count, first_row, rows, units };
      if (octets) recording.dispatch(SHADERS.softwareAttention, options, buffers, params);
      else if (own) {
        recording.dispatch(SHADERS.ownRowAttention, options, { ...buffers, ...ready.buffers }, {
          ...params,
          ...ready.params,
        });
      } else recording.dispatch(SHADERS.softmaxAttention, options, buffers, { ...params, ...ready.params });
    });
    recording.dispatch(
      SHADERS.mergeAttention,
      {
        constants: { ...shared, LANES: Math.max(COLUMNS, device.wideLanes), COLUMNS },
        workgroups: (counts) => together(counts) * heads * Math.ceil(headDim / 4 / COLUMNS),
      },
      { carry, sums, out: whole(out) },
      { heads, first_row, units },
    );
  }
}

/** How a workgroup's threads share out the chunks of a cached row. */
function lanesOf({ wideLanes }: Device, quads: number, type: Cache["type"]): Constants {
  const CHUNKS = quads * 4 * ELEMENT_BYTES[type] / 16;
  const VALUE_LANES = powerFrom(CHUNKS);
  return { LANES: Math.max(VALUE_LANES, wideLanes), CHUNKS, KEY_LANES: Math.min(8, VALUE_LANES), VALUE_LANES };
}

/** The least power of two that is `count` or more. */
function powerFrom(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
