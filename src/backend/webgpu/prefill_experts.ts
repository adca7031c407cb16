/** Experts of many rows: choices sorted by expert, then products by tiles of choices that share one. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { byMatrices, matrixGatedGemm, matrixGemm, matrixTileRows } from "./matrix_products.ts";
import { gatedGemm, gemm, tileRows, type TileShape } from "./prefill_dense.ts";
import { type Recording, whole } from "./recording.ts";
import { sortChoices, type SortedChoices, sortedChoices } from "./sorted_choices.ts";

/** Tiles of 32 rows: on an H100 as fast as larger ones when full, and fuller when every expert has 64 rows. */
const GATED: TileShape = { across: 16, down: 8, rowBlocks: 1, columnBlocks: 1 };
const DOWN: TileShape = { across: 32, down: 4, rowBlocks: 2, columnBlocks: 1 };

/** Choices that share a tile. */
const PREFILL_TILE_ROWS = tileRows(GATED);

/** Sorts the choices for these experts, unless they are: gate's tiles are down's. */
function placesOf(recording: Recording, ids: Tensor, experts: Weight): SortedChoices {
  const rows = byMatrices(recording, experts) ? matrixTileRows(recording.device) : PREFILL_TILE_ROWS;
  const places = sortedChoices(recording, ids, experts.values.shape[0]!, rows);
  if (recording.sorted.get(ids) !== rows) sortChoices(recording, ids, places);
  recording.sorted.set(ids, rows);
  return places;
}

/** {@linkcode Ops.expertsGateUp} for choices sorted by expert. */
export function sortedGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  { ids }: Routing,
  gate: Weight,
  up: Weight,
): void {
  const places = placesOf(recording, ids, gate);
  if (byMatrices(recording, gate)) {
    return matrixGatedGemm(recording, out, recording.halvedNorm(hidden, norm), gate, up, places);
  }
  gatedGemm(recording, out, recording.normed(hidden, norm), gate, up, { ...places, shape: GATED });
}

/** {@linkcode Ops.expertsDownAdd} for choices sorted by expert. */
export function sortedDownAdd(recording: Recording, hidden: Tensor, x: Tensor, routing: Routing, down: Weight): void {
  const places = placesOf(recording, routing.ids, down);
  const products = expertProducts(recording, down, places.perRow);
  const linear = { weight: down, bias: null };
  if (byMatrices(recording, down)) {
    matrixGemm(recording, products, recording.halved(whole(x), x.shape.at(-1)!, places.perRow), linear, { places });
  } else {
    gemm(recording, products, whole(x), linear, { add: false, rows: "rows", places: { ...places, shape: DOWN } });
  }
  combineExperts(recording, hidden, products, routing);
}

/** [T, K, H] */
export function expertProducts(recording: Recording, down: Weight, perRow: number, fresh = false): GPUBuffer {
  const elements = recording.capacity.rows * perRow * down.values.shape.at(-2)!;
  return fresh ? recording.fresh("expert products", elements) : recording.scratch("expert products", elements);
}

/** hidden[t] += Σ_k weights[t, k] · products[t, k], then + beside[t] where there is one */
export function combineExperts(
  recording: Recording,
  hidden: Tensor,
  products: GPUBuffer,
  { ids, weights }: Routing,
  beside: GPUBuffer | null = null,
): void {
  const COLUMNS = hidden.shape.at(-1)! / 4;
  const LANES = recording.device.wideLanes;
  recording.dispatch(
    SHADERS.combineExperts,
    {
      constants: { LANES, COLUMNS, PER_ROW: ids.shape[1]!, BESIDE: beside !== null },
      workgroups: ({ rows }) => rows * Math.ceil(COLUMNS / LANES),
    },
    { products, beside: beside ?? recording.memory.nothing, weights: whole(weights), hidden: whole(hidden) },
    {},
  );
  recording.changed(hidden);
}
