/** The experts of few rows, the chosen ones and the shared one side by side: of one row its own, of several those that share an expert. */
import { type Constants, SHADERS, type Variant } from "../../../shaders/mod.ts";
import type { Norm, Routing, SharedDown, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { decodeProduct, lanesFor } from "./decode_products.ts";
import { byTiles, gemm, productsByTiles } from "./prefill_dense.ts";
import { combineExperts, expertProducts, PREFILL_TILE_ROWS } from "./prefill_experts.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { softwareDownAdd, softwareGateUp } from "./software_experts.ts";
import { byStrips } from "./software_products.ts";
import { sortChoices, sortedChoices } from "./sorted_choices.ts";

/** Buffers that the kernels bind, more than some devices allow. */
const BUFFERS = 14;

/** Choices that share an expert and are multiplied with its weights at once: of 32 rows most experts have one or two. */
const TILE_ROWS = 2;

/** Threads of a workgroup that every device has. */
const MAX_LANES = 256;

/** Whether experts go by few rows here. */
export function decodesExperts({ device, capacity }: Recording): boolean {
  return !byTiles(capacity.rows) && device.gpu.limits.maxStorageBuffersPerShaderStage >= BUFFERS;
}

/**
 * How the kernels may read a shared expert's weights beside the others: stored as those are, or in 8 bits beside 4, and in one
 * part; null if they may not.
 */
export function besideOthers(
  recording: Recording,
  weight: Weight,
  shared: readonly Weight[],
): Variant["shared"] | null {
  const { values, scales } = weight;
  const inOnePart = shared.every((each) =>
    own(each.values).parts.length === 1 && `${each.scales?.block}` === `${scales?.block}`
  );
  const types = new Set(shared.map(({ values }) => values.dtype));
  if (!inOnePart || types.size > 1) return null;
  if (types.has(values.dtype)) return "alike";
  return values.dtype === "q4" && types.has("q8") && !byStrips(recording, [weight]) ? "q8" : null;
}

/** Sorts the choices by expert where their experts want it: one row's are read as they come. */
export function orderChoices(recording: Recording, ids: Tensor, experts: number): void {
  if (!decodesExperts(recording)) sortChoices(recording, ids, experts, PREFILL_TILE_ROWS);
  else if (recording.capacity.rows > 1) sortChoices(recording, ids, experts, TILE_ROWS);
}

interface Chosen {
  readonly chosen: GPUBuffer;
  /** Tiles of choices, or choices. */
  readonly tiles: number;
  readonly constants: Constants;
}

/** What lib/choices.wgsl reads. */
function choicesOf(recording: Recording, ids: Tensor, experts: number): Chosen {
  const PER_ROW = ids.shape[1]!;
  if (recording.capacity.rows === 1) {
    return { chosen: whole(ids, "u32"), tiles: PER_ROW, constants: { ROWS: 1, PER_ROW, TILES: 0 } };
  }
  const { buffer, tiles } = sortedChoices(recording, ids, experts, TILE_ROWS);
  return { chosen: buffer, tiles, constants: { ROWS: TILE_ROWS, PER_ROW, TILES: tiles } };
}

/** out[t, k] = silu(n_t @ gate[e]^T) ⊙ (n_t @ up[e]^T), and the same for the shared expert where there is one. */
export function decodeGateUp(
  recording: Recording,
  out: Tensor,
  hidden: Tensor,
  norm: Norm,
  { ids }: Routing,
  [gate, up]: readonly [gate: Weight, up: Weight],
  shared: SharedGateUp | null,
): void {
  if (byStrips(recording, [gate, up])) return softwareGateUp(recording, out, hidden, norm, ids, [gate, up], shared);
  const [experts, outputs, width] = gate.values.shape as [number, number, number];
  const { chosen, tiles, constants } = choicesOf(recording, ids, experts);
  const rowsAtOnce = recording.capacity.rows === 1 ? 1 : TILE_ROWS;
  const sharedOutputs = shared?.gate.values.shape[0] ?? 0;
  const upParts = own(up.values).parts;
  const { memory: { nothing }, device, capacity } = recording;
  // Many rows keep a device busy with the fewest threads to a sum; fewer have the bits of one.
  const LANES = productsByTiles(capacity.rows)
    ? device.lanes
    : lanesFor(device, ids.shape[1]! * Math.ceil(outputs / 4), width / 4);
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null; // once, with the first part
    const sharedBlocks = added === null ? 0 : Math.ceil(sharedOutputs / 4);
    recording.dispatch(
      SHADERS.decodeGateUp,
      {
        constants: {
          ...scaling(recording, gate).constants,
          ...constants,
          ...{ LANES, COLUMNS: width / 4, SHARED: added !== null },
        },
        weight: weightType(gate),
        shared: added === null ? "alike" : besideOthers(recording, gate, [added.gate, added.up])!,
        workgroups: ({ rows }) =>
          rows === 0 ? 0 : tiles * Math.ceil(outputs / 4) + Math.ceil(rows / rowsAtOnce) * sharedBlocks,
      },
      {
        x: whole(hidden),
        norm: whole(norm.weight),
        gate: buffer,
        gate_factors: scaling(recording, gate).factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        chosen,
        out: whole(out),
        shared_gate: added === null ? nothing : whole(added.gate.values, added.gate.values.dtype),
        shared_gate_factors: added === null ? nothing : scaling(recording, added.gate).factors,
        shared_up: added === null ? nothing : whole(added.up.values, added.up.values.dtype),
        shared_up_factors: added === null ? nothing : scaling(recording, added.up).factors,
        shared_out: added === null ? recording.scratch("no shared expert", 1) : whole(added.out),
      },
      { outputs, first, count, shared_outputs: sharedOutputs, epsilon: norm.eps },
    );
  });
}

/** Whether the gate and up of an MLP that all rows go through are computed as those of a shared expert. */
export function decodesGateUp(recording: Recording, weights: readonly Weight[]): boolean {
  return !productsByTiles(recording.capacity.rows) && decodesExperts(recording) &&
    weights.every(({ values }) => own(values).parts.length === 1);
}

/** out = silu(n @ gate^T) ⊙ (n @ up^T), n = norm(hidden), for all rows: a dispatch that nothing of the routed experts waits for. */
export function decodeDenseGateUp(
  recording: Recording,
  hidden: Tensor,
  norm: Norm,
  { out, gate, up }: SharedGateUp,
): void {
  const [outputs, width] = gate.values.shape as [number, number];
  const { memory: { nothing }, device, capacity } = recording;
  const ROWS = capacity.rows === 1 ? 1 : TILE_ROWS;
  const blocks = Math.ceil(outputs / 4);
  const none = { gate: nothing, gate_factors: nothing, up: nothing, up_factors: nothing, chosen: nothing };
  recording.dispatch(
    SHADERS.decodeGateUp,
    {
      constants: {
        ...scaling(recording, gate).constants,
        ...{ ROWS, PER_ROW: 1, TILES: 0, SHARED: true },
        ...{ LANES: lanesFor(device, blocks, width / 4), COLUMNS: width / 4 },
      },
      weight: weightType(gate),
      workgroups: ({ rows }) => Math.ceil(rows / ROWS) * blocks,
    },
    {
      ...none,
      x: whole(hidden),
      norm: whole(norm.weight),
      out: recording.scratch("no routed experts", 1),
      shared_gate: whole(gate.values, gate.values.dtype),
      shared_gate_factors: scaling(recording, gate).factors,
      shared_up: whole(up.values, up.values.dtype),
      shared_up_factors: scaling(recording, up).factors,
      shared_out: whole(out),
    },
    { outputs: 0, first: 0, count: 0, shared_outputs: outputs, epsilon: norm.eps },
  );
}

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
  fewRowsDown(recording, hidden, x, routing, down);
  if (shared === null) return;
  const map = { weight: shared.down, bias: null };
  if (productsByTiles(recording.capacity.rows)) {
    gemm(recording, hidden, whole(shared.x), map, { add: true, rows: "rows" });
  } else decodeProduct(recording, hidden, shared.x, map, { add: true, lanes: LANES });
  recording.changed(hidden);
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

function fewRowsDown(recording: Recording, hidden: Tensor, x: Tensor, routing: Routing, down: Weight): void {
  const [experts, outputs, width] = down.values.shape as [number, number, number];
  const { chosen, tiles, constants } = choicesOf(recording, routing.ids, experts);
  const { factors, constants: scales } = scaling(recording, down);
  const { lanes } = recording.device;
  const products = expertProducts(recording, down, routing.ids.shape[1]!);
  for (const { buffer, first, count } of own(down.values).parts) {
    recording.dispatch(
      SHADERS.decodeExpertDown,
      {
        constants: { ...scales, ...constants, COLUMNS: width / 4, LANES: TEAMS * lanes, TEAM: lanes },
        weight: weightType(down),
        workgroups: ({ rows }) => rows === 0 ? 0 : tiles * Math.ceil(outputs / (4 * TEAMS)),
      },
      { x: whole(x), down: buffer, factors, chosen, products },
      { outputs, first, count },
    );
  }
  combineExperts(recording, hidden, products, routing);
}
