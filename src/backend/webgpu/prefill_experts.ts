/** Experts of many rows: choices sorted by expert, then products by tiles of choices that share one. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Routing } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { gatedGemm, gemm, type Places, tileRows, type TileShape } from "./prefill_dense.ts";
import { type Recording, whole } from "./recording.ts";

/** Tiles of 32 rows: on an H100 as fast as larger ones when full, and fuller when every expert has 64 rows. */
const SHAPE: TileShape = { across: 16, down: 8, rowBlocks: 1 };

/** Where the sorted choices of some routing are, and how many tiles they may need. */
function placesOf(recording: Recording, ids: Tensor, experts: number): Places {
  const perRow = ids.shape[1]!;
  const choices = recording.capacity.rows * perRow;
  const tiles = Math.min(choices, Math.floor(choices / tileRows(SHAPE)) + experts);
  return { buffer: recording.scratch(`sorted ${ids.label}`, 4 * tiles + choices), tiles, shape: SHAPE, perRow };
}

/** Sorts what the router chose, for the products that follow. */
export function sortChoices(recording: Recording, ids: Tensor, experts: number): void {
  const { buffer, tiles, perRow } = placesOf(recording, ids, experts);
  recording.dispatch(
    SHADERS.sortExperts,
    {
      constants: {
        LANES: recording.device.wideLanes,
        EXPERTS: experts,
        PER_ROW: perRow,
        TILE_ROWS: tileRows(SHAPE),
      },
      workgroups: ({ rows }) => rows === 0 ? 0 : experts,
    },
    { ids: whole(ids, "u32"), places: buffer },
    { tiles },
  );
}

/** {@linkcode Ops.expertsGateUp} for choices that were sorted. */
export function sortedGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  { ids }: Routing,
  gate: Weight,
  up: Weight,
): void {
  const places = placesOf(recording, ids, gate.values.shape[0]!);
  gatedGemm(recording, out, recording.normed(hidden, norm), gate, up, places);
}

/** {@linkcode Ops.expertsDownAdd} for choices that were sorted. */
export function sortedDownAdd(recording: Recording, hidden: Tensor, x: Tensor, routing: Routing, down: Weight): void {
  const { ids, weights } = routing;
  const [experts, width] = down.values.shape as [number, number];
  const places = placesOf(recording, ids, experts);
  const products = recording.scratch("expert products", recording.capacity.rows * places.perRow * width);
  gemm(recording, products, whole(x), { weight: down, bias: null }, { add: false, rows: "rows", places });
  recording.dispatch(
    SHADERS.combineExperts,
    { constants: { PER_ROW: places.perRow }, workgroups: ({ rows }) => rows },
    { products, weights: whole(weights), hidden: whole(hidden) },
    { columns: width / 4 },
  );
  recording.changed(hidden);
}
