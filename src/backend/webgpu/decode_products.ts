/** Products with few rows: a workgroup for every four outputs, with the norm of its input on the way. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Linear, Norm } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import type { Device } from "./device.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { byStrips, softwareProduct } from "./software_products.ts";

const MAX_LANES = 256;

/**
 * Threads that share out the `columns` of a tile's sums, where a row has so many `tiles`: as many as keep enough reads in
 * flight for the memory's full rate, which is measured for each device.
 */
export function lanesFor({ lanes, software, kernels }: Device, tiles: number, columns: number): number {
  if (software) return lanes; // a processor has few threads, and each barrier costs
  const wanted = Math.min(MAX_LANES, columns, kernels.threads / tiles);
  return Math.max(lanes, 2 ** Math.floor(Math.log2(wanted)));
}

/** vec4s that a lane takes at once, as they lie in one piece (shaders/lib/piece_*.wgsl). */
export function pieceOf({ dtype }: Tensor): number {
  return dtype === "q8" || dtype === "q4" ? 4 : 1;
}

/** A workgroup's teams, each of which shares out the columns of a tile of its own, and the tiles that it has. */
interface Teams {
  readonly TEAM: number;
  readonly LANES: number;
  readonly tiles: number;
}

/** Threads to a sum that suit the device, where so many `tiles` of `values` are multiplied. */
function teamFor(device: Device, values: Tensor, tiles: number): number {
  const piece = pieceOf(values);
  // Big pieces take a quarter of the reads.
  return lanesFor(device, piece === 1 ? tiles : 4 * tiles, values.shape.at(-1)! / 4 / piece);
}

/** Teams for a weight with so many `tiles` of rows: several where what a workgroup does first serves them all. */
export function teamsFor(
  device: Device,
  values: Tensor,
  tiles: number,
  { lanes = null, shares = pieceOf(values) > 1 }: { readonly lanes?: number | null; readonly shares?: boolean } = {},
): Teams {
  const TEAM = lanes ?? teamFor(device, values, tiles);
  const LANES = shares ? Math.min(MAX_LANES, Math.max(device.wideLanes, 2 * TEAM)) : TEAM;
  return { TEAM, LANES, tiles: LANES / TEAM };
}

/** Divides each of `groups` pieces of a row by its root mean square, then turns it down by a gate (spec c.7). */
export interface GatedNorm {
  readonly norm: Norm;
  readonly gate: Tensor;
  readonly groups: number;
}

export interface ProductOptions {
  readonly add?: boolean;
  readonly rows?: "rows" | "outputs";
  /** What the input goes through first. */
  readonly norm?: Norm | null;
  readonly gated?: GatedNorm | null;
  /** Threads that share out a sum, where not as many as suit the device. */
  readonly lanes?: number;
}

/** out = y @ W^T + b, or added to out, y being x or its norm: out[T, N], x[T, K], W[N, K] */
export function decodeProduct(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: Tensor,
  map: Linear,
  options: ProductOptions,
): void {
  const { weight, bias } = map;
  const { add = false, rows = "rows", norm = null, gated = null, lanes = null } = options;
  if (byStrips(recording, [weight], gated?.groups)) return softwareProduct(recording, out, x, map, options);
  const { capacity, device, memory: { nothing } } = recording;
  const [outputs, width] = weight.values.shape as [number, number];
  const { factors, constants } = scaling(recording, weight);
  const ROWS = capacity[rows] === 1 ? 1 : 4;
  const { tiles, ...teams } = teamsFor(device, weight.values, Math.ceil(outputs / 4), { lanes });
  const used = gated?.norm ?? norm;
  for (const { buffer, first, count } of own(weight.values).parts) {
    recording.dispatch(
      SHADERS.decodeProduct,
      {
        constants: {
          ...constants,
          ...teams,
          ...{ COLUMNS: width / 4, ROWS, NORM: norm !== null, GATED: gated !== null, GROUPS: gated?.groups ?? 1 },
          // The output of a plan of one row is that row.
          ...{ OUTPUTS: rows === "outputs" && capacity.rows > 1, BIAS: bias !== null, ADD: add },
        },
        weight: weightType(weight),
        workgroups: (counts) => Math.ceil(counts[rows] / ROWS) * Math.ceil(count / (4 * tiles)),
      },
      {
        x: whole(x),
        norm: used === null ? nothing : whole(used.weight),
        gate: gated === null ? nothing : whole(gated.gate),
        weight: buffer,
        factors,
        bias: bias === null ? nothing : whole(bias),
        out: "dtype" in out ? whole(out) : out,
      },
      { outputs, first, count, epsilon: used?.eps ?? 0 },
    );
  }
}

/** Buffers that the kernel for two products binds, more than some devices allow. */
const PAIR_BUFFERS = 9;

/** Whether one dispatch may compute both products: they have no bias, are stored alike and in one part. */
export function pairs({ device }: Recording, one: Linear, other: Linear): boolean {
  const isWhole = ({ weight, bias }: Linear) => bias === null && own(weight.values).parts.length === 1;
  return device.gpu.limits.maxStorageBuffersPerShaderStage >= PAIR_BUFFERS && isWhole(one) && isWhole(other) &&
    one.weight.values.dtype === other.weight.values.dtype &&
    `${one.weight.scales?.block}` === `${other.weight.scales?.block}`;
}

/** outs[i] = norm(hidden) @ W_i^T + b_i */
export function decodeProject(
  recording: Recording,
  outs: readonly Tensor[],
  hidden: Tensor,
  norm: Norm,
  maps: readonly Linear[],
): void {
  const [one, other] = maps;
  if (maps.length === 2 && pairs(recording, one!, other!)) {
    return decodePair(recording, outs, hidden, norm, [one!.weight, other!.weight]);
  }
  maps.forEach((map, i) => decodeProduct(recording, outs[i]!, hidden, map, { norm }));
}

function decodePair(
  recording: Recording,
  [out, otherOut]: readonly Tensor[],
  hidden: Tensor,
  norm: Norm,
  [weight, other]: readonly [Weight, Weight],
): void {
  if (byStrips(recording, [weight, other])) {
    const map = { weight, bias: null };
    return softwareProduct(recording, out!, hidden, map, { norm }, { out: otherOut!, weight: other });
  }
  const { capacity, device } = recording;
  const [outputs, width] = weight.values.shape as [number, number];
  const otherOutputs = other.values.shape[0]!;
  const ROWS = capacity.rows === 1 ? 1 : 4;
  const blocks = Math.ceil(outputs / 4) + Math.ceil(otherOutputs / 4);
  const { tiles, ...teams } = teamsFor(device, weight.values, blocks);
  recording.dispatch(
    SHADERS.decodePair,
    {
      constants: {
        ...scaling(recording, weight).constants,
        ...teams,
        ...{ COLUMNS: width / 4, ROWS },
      },
      weight: weightType(weight),
      workgroups: ({ rows }) => Math.ceil(rows / ROWS) * Math.ceil(blocks / tiles),
    },
    {
      x: whole(hidden),
      norm: whole(norm.weight),
      weight: whole(weight.values, weight.values.dtype),
      factors: scaling(recording, weight).factors,
      out: whole(out!),
      other_weight: whole(other.values, other.values.dtype),
      other_factors: scaling(recording, other).factors,
      other_out: whole(otherOut!),
    },
    { outputs, other_outputs: otherOutputs, epsilon: norm.eps },
  );
}
