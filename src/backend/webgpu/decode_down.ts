/** The way back of the experts of few rows: all of one row in one dispatch, products to be added up of several. */
import { type Constants, SHADERS } from "../../../shaders/mod.ts";
import type { Routing, SharedDown } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { batchProduct, byBatch } from "./batch_products.ts";
import { besideOthers, choicesOf } from "./decode_experts.ts";
import { decodeProduct } from "./decode_products.ts";
import { combineExperts, expertProducts } from "./prefill_experts.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { softwareDownAdd } from "./software_experts.ts";
import { byStrips } from "./software_products.ts";

/** Threads of a workgroup that every device has. */
const MAX_LANES = 256;

/** hidden[t] += Σ_k weights[t, k] · (x[t, k] @ down[e]^T), then + shared.x[t] @ shared.down^T where there is one. */
export function decodeDownAdd(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  routing: Routing,
  down: Weight,
  shared: SharedDown | null,
): void {
  if (byStrips(recording, shared === null ? [down] : [down, shared.down])) {
    return softwareDownAdd(recording, hidden, x, routing, down, shared);
  }
  const { lanes } = recording.device;
  const perRow = routing.ids.shape[1]!;
  const LANES = Math.min(MAX_LANES, lanes * 2 ** Math.ceil(Math.log2(perRow)));
  if (recording.capacity.rows === 1 && own(down.values).parts.length === 1) {
    return oneRowDown(recording, hidden, x, routing, down, shared, { LANES, TEAM: lanes });
  }
  const beside = shared && sharedProducts(recording, shared, recording.bufferOf(x), LANES);
  fewRowsDown(recording, hidden, x, routing, down, beside);
}

/** Whether a shared expert may go along: in tiles of its own, or beside the others. */
export function takesShared(recording: Recording, down: Weight, shared: Weight): boolean {
  return byBatch(recording, recording.capacity.rows) || besideOthers(recording, down, [shared]) !== null;
}

/** What it adds, [T, H]: apart from hidden, so that the dispatch of the others' products, which comes next, need not wait for it. */
function sharedProducts(recording: Recording, { x, down }: SharedDown, others: GPUBuffer, lanes: number): GPUBuffer {
  const { rows } = recording.capacity;
  const products = recording.scratch("shared products", rows * down.values.shape[0]!);
  const map = { weight: down, bias: null };
  if (byBatch(recording, rows)) batchProduct(recording, products, x, map, { ahead: [others] });
  else decodeProduct(recording, products, x, map, { lanes });
  return products;
}

function oneRowDown(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  { ids, weights }: Routing,
  down: Weight,
  shared: SharedDown | null,
  threads: Constants,
): void {
  const [outputs, width] = down.values.shape.slice(-2) as [number, number];
  const { nothing } = recording.memory;
  const { factors, constants } = scaling(recording, down);
  recording.dispatch(
    SHADERS.decodeDown,
    {
      constants: {
        ...constants,
        ...threads,
        ...{ PER_ROW: ids.shape[1]!, COLUMNS: width / 4 },
        ...{ SHARED: shared !== null, SHARED_COLUMNS: (shared?.x.shape.at(-1) ?? 0) / 4 },
      },
      weight: weightType(down),
      shared: shared === null ? "alike" : besideOthers(recording, down, [shared.down])!,
      workgroups: ({ rows }) => rows * Math.ceil(outputs / 4),
    },
    {
      x: whole(x),
      down: own(down.values).parts[0]!.buffer,
      factors,
      ids: whole(ids, "u32"),
      weights: whole(weights),
      hidden: whole(hidden),
      shared_x: shared === null ? nothing : whole(shared.x),
      shared_down: shared === null ? nothing : whole(shared.down.values, shared.down.values.dtype),
      shared_factors: shared === null ? nothing : scaling(recording, shared.down).factors,
    },
    { outputs },
  );
  recording.changed(hidden);
}

/** Teams of a workgroup: each has outputs of its own. */
const TEAMS = 4;

function fewRowsDown(
  recording: Recording,
  hidden: Tensor,
  x: Tensor,
  routing: Routing,
  down: Weight,
  shared: GPUBuffer | null,
): void {
  const [experts, outputs, width] = down.values.shape as [number, number, number];
  const { chosen, tiles, constants } = choicesOf(recording, routing.ids, experts);
  const { factors, constants: scales } = scaling(recording, down);
  const { lanes } = recording.device;
  const products = expertProducts(recording, down, routing.ids.shape[1]!, byBatch(recording, recording.capacity.rows));
  for (const { buffer, first, count } of own(down.values).parts) {
    recording.dispatch(
      SHADERS.decodeExpertDown,
      {
        constants: { ...scales, ...constants, COLUMNS: width / 4, LANES: TEAMS * lanes, TEAM: lanes },
        weight: weightType(down),
        workgroups: ({ rows }) => rows === 0 ? 0 : tiles * Math.ceil(outputs / (4 * TEAMS)),
      },
      { x: recording.bufferOf(x), down: buffer, factors, chosen, products },
      { outputs, first, count },
    );
  }
  combineExperts(recording, hidden, products, routing, shared);
}
