/** Keys and values in pages as kernels bind them, and the rows that are made ready and appended to them. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { CacheBlock, Heads } from "../backend.ts";
import { ELEMENT_BYTES, type Tensor } from "../tensor.ts";
import { type Recording, whole } from "./recording.ts";

/** A layer's cache as kernels bind it. */
export interface Cache {
  readonly type: "f32" | "f16";
  /** Positions of a page. */
  readonly page: number;
  /** vec4s of a row of one head, the zeros at its end included. */
  readonly quads: number;
  readonly blocks: readonly BoundBlock[];
}

/** A block of pages. */
export interface BoundBlock {
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
  /** Its pages. */
  readonly first: number;
  readonly count: number;
}

/** @throws {RangeError} for pages that kernels cannot read */
export function bindCache(recording: Recording, all: readonly CacheBlock[], { headDim }: Heads): Cache {
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
export function append(recording: Recording, qkv: Tensor, cache: Cache, how: Heads): void {
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
export function readiness({ memory: { nothing } }: Recording, { silu, queryNorm, keyNorm, rope }: Heads) {
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
