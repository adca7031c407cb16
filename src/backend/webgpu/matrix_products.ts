/** Matrix products of many rows on a device's matrix units: f16 multiplied, f32 summed up. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Linear } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import type { Device } from "./device.ts";
import { type Matrices, matrixConstants, tileBytes } from "./matrices.ts";
import { byTiles } from "./prefill_dense.ts";
import { type Halves, own, type Recording, scaling, weightType, whole } from "./recording.ts";
import type { SortedChoices } from "./sorted_choices.ts";

/** Subgroups of a workgroup; each of them sums up 4 × 2 matrices (shaders/lib/matrix_tile.wgsl). */
interface MatrixShape {
  readonly down: number;
  readonly across: number;
}

const BLOCKS = { down: 4, across: 2 } as const;

/** The fastest of those tried on an H100 first; smaller ones give all of its units work where there are few tiles. */
const SHAPES: readonly MatrixShape[] = [{ down: 2, across: 4 }, { down: 1, across: 2 }];
const [LARGEST, SMALLEST] = [SHAPES[0]!, SHAPES.at(-1)!];

const MANY_TILES = 128;

/** Kernels read eight columns at once, and write four. */
const EIGHT = 8;
const FOUR = 4;

const tileRows = ({ m }: Matrices, { down }: MatrixShape): number => BLOCKS.down * down * m;
const tileColumns = ({ n }: Matrices, { across }: MatrixShape): number => BLOCKS.across * across * n;

/** Whether many rows are multiplied with such weights by matrix units: [N, K], or [E, I, H] and [E, H, I] alike. */
export function byMatrices({ device, capacity }: Recording, { values }: Weight): boolean {
  const { shape } = values;
  const [N, K] = shape.slice(-2) as [number, number];
  const fits = K % EIGHT === 0 && N % (shape.length === 2 ? FOUR : EIGHT) === 0;
  return device.matrices !== null && byTiles(capacity.rows) && fits &&
    own(values).parts.every(({ first }) => first % FOUR === 0);
}

/** Choices of experts that share a tile. */
export const matrixTileRows = ({ matrices }: Device): number => tileRows(matrices!, LARGEST);

interface MatrixOptions {
  readonly add?: boolean;
  /** Rows are choices of experts. */
  readonly places?: SortedChoices;
}

/** {@linkcode gemm} of rows that are f16. */
export function matrixGemm(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: Halves,
  { weight, bias }: Linear,
  { add = false, places }: MatrixOptions,
): void {
  const { factors, constants } = scaling(recording, weight);
  const outputs = weight.values.shape.at(-2)!;
  const shape = shapeFor(recording, outputs, places);
  for (const { buffer, first, count } of own(weight.values).parts) {
    const tiles = tilesOf(
      recording,
      shape,
      tileColumns(recording.device.matrices!, shape),
      weight,
      { first, count },
      places,
    );
    recording.dispatch(
      SHADERS.matrixGemm,
      {
        constants: { ...constants, ...tiles.constants, BIAS: bias !== null, ADD: add },
        weight: weightType(weight),
        workgroups: ({ rows }) => tiles.workgroups(rows),
      },
      {
        x: x.halves,
        scales: x.scales,
        weight: buffer,
        factors,
        bias: bias === null ? recording.memory.nothing : whole(bias),
        places: places?.buffer ?? recording.memory.nothing,
        out: "dtype" in out ? whole(out) : out,
      },
      { ...tiles.params, first, count },
    );
  }
}

/** {@linkcode gatedGemm} of rows that are f16. */
export function matrixGatedGemm(
  recording: Recording,
  out: Tensor,
  x: Halves,
  gate: Weight,
  up: Weight,
  places?: SortedChoices,
): void {
  const { factors, constants } = scaling(recording, gate);
  const upParts = own(up.values).parts;
  const shape = shapeFor(recording, 2 * gate.values.shape.at(-2)!, places);
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const columns = tileColumns(recording.device.matrices!, shape) / 2;
    const tiles = tilesOf(recording, shape, columns, gate, { first, count }, places);
    recording.dispatch(
      SHADERS.matrixGateUp,
      {
        constants: { ...constants, ...tiles.constants, PER_ROW: places?.perRow ?? 1 },
        weight: weightType(gate),
        workgroups: ({ rows }) => tiles.workgroups(rows),
      },
      {
        x: x.halves,
        scales: x.scales,
        gate: buffer,
        gate_factors: factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        places: places?.buffer ?? recording.memory.nothing,
        out: whole(out),
      },
      { ...tiles.params, first, count },
    );
  });
}

/** Results are the same with any. Tiles of choices are as sorted. */
function shapeFor({ device, capacity }: Recording, columns: number, places?: SortedChoices): MatrixShape {
  if (places) return LARGEST;
  const tilesOf = (shape: MatrixShape) =>
    Math.ceil(capacity.rows / tileRows(device.matrices!, shape)) *
    Math.ceil(columns / tileColumns(device.matrices!, shape));
  return SHAPES.find((shape) => tilesOf(shape) >= MANY_TILES) ?? SMALLEST;
}

/** How the products with one part of a weight are cut into tiles of so many columns. */
function tilesOf(
  { device }: Recording,
  shape: MatrixShape,
  columns: number,
  { values }: Weight,
  { first, count }: { readonly first: number; readonly count: number },
  places: SortedChoices | undefined,
) {
  const [outputs, width] = values.shape.slice(-2) as [number, number];
  const [start, most] = places ? [0, outputs] : [first, count];
  const columnTiles = Math.ceil(most / columns);
  const rows = tileRows(device.matrices!, shape);
  const constants: Constants = {
    ...shapeConstants(device, shape, width),
    ...{ ROUTED: places !== undefined, ROW_TILES: places?.tiles ?? 0 },
  };
  return {
    constants,
    params: { columns: width / EIGHT, outputs, start, column_tiles: columnTiles },
    workgroups: (count: number) => columnTiles * (places?.tiles ?? Math.ceil(count / rows)),
  };
}

/** Rows of each operand that a thread loads at most. */
const LOADS = 4;

/** Columns of K that a workgroup may hold at once, in eights of 16 bytes; a row has one more, which keeps banks apart. */
const DEPTHS = [8, 4, 2, 1];

/** As many columns as threads load, and as there is workgroup memory for. */
function shapeConstants({ gpu, matrices }: Device, { down, across }: MatrixShape, width: number): Constants {
  const { k, subgroup } = matrices!;
  const lanes = down * across * subgroup;
  const [rows, columns] = [tileRows(matrices!, { down, across }), tileColumns(matrices!, { down, across })];
  const DEPTH = DEPTHS.find((depth) =>
    depth * EIGHT % k === 0 && Math.max(rows, columns) * depth <= LOADS * lanes &&
    16 * (rows + columns) * (depth + 1) <= tileBytes(gpu)
  )!;
  const REST = width % (EIGHT * DEPTH) !== 0;
  return { ...matrixConstants(matrices!), DOWN: down, ACROSS: across, DEPTH, REST, LANES: lanes };
}
