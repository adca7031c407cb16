/** Gate and up of few rows, chosen experts and the one that all rows go through side by side. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Norm, Routing, SharedGateUp } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { byBatch, productsByTiles } from "./batch_products.ts";
import { besideOthers, choicesOf, decodesExperts, TILE_ROWS } from "./decode_experts.ts";
import { pieceOf, teamsFor } from "./decode_products.ts";
import { type DispatchOptions, own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { softwareGateUp } from "./software_experts.ts";
import { byStrips } from "./software_products.ts";

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
  const [gateParts, upParts] = [own(gate.values).parts, own(up.values).parts];
  const { memory: { nothing }, device, capacity } = recording;
  const choice = gateParts.length === 1 ? recording.take(ids, "choice") : null;
  // Many rows keep a device busy with the fewest threads to a sum; fewer have the bits of one.
  const lanes = productsByTiles(recording, capacity.rows) ? device.lanes : null;
  const { tiles: perGroup, ...teams } = teamsFor(device, gate.values, ids.shape[1]! * Math.ceil(outputs / 4), {
    lanes,
    shares: choice !== null || pieceOf(gate.values) > 1,
  });
  const written = byBatch(recording, capacity.rows) ? recording.renew(out) : whole(out);
  gateParts.forEach(({ buffer, first, count }, i) => {
    const added = i === 0 ? shared : null; // once, with the first part
    const sharedBlocks = added === null ? 0 : Math.ceil(sharedOutputs / (4 * perGroup));
    const options: DispatchOptions = {
      constants: {
        ...scaling(recording, gate).constants,
        ...constants,
        ...teams,
        ...{ COLUMNS: width / 4, SHARED: added !== null },
        ...choice?.constants,
      },
      weight: weightType(gate),
      shared: added === null ? "alike" : besideOthers(recording, gate, [added.gate, added.up])!,
      workgroups: ({ rows }) =>
        rows === 0 ? 0 : tiles * Math.ceil(outputs / (4 * perGroup)) + Math.ceil(rows / rowsAtOnce) * sharedBlocks,
    };
    const buffers = {
      x: whole(hidden),
      norm: whole(norm.weight),
      gate: buffer,
      gate_factors: scaling(recording, gate).factors,
      up: upParts[i]!.buffer,
      up_factors: scaling(recording, up).factors,
      out: written,
      shared_gate: added === null ? nothing : whole(added.gate.values, added.gate.values.dtype),
      shared_gate_factors: added === null ? nothing : scaling(recording, added.gate).factors,
      shared_up: added === null ? nothing : whole(added.up.values, added.up.values.dtype),
      shared_up_factors: added === null ? nothing : scaling(recording, added.up).factors,
      shared_out: added === null ? recording.fresh("no shared expert", 1) : whole(added.out),
    };
    const params = { outputs, first, count, shared_outputs: sharedOutputs, epsilon: norm.eps };
    if (choice === null) {
      recording.dispatch(SHADERS.decodeGateUp, options, { ...buffers, chosen }, { ...params, scale: 0 });
    } else {
      const { logits, bias, weights, scale } = choice;
      const chooses = { logits, bias, ids: whole(ids, "u32"), weights: whole(weights) };
      recording.dispatch(SHADERS.decodeChosenGateUp, options, { ...buffers, ...chooses }, { ...params, scale });
    }
  });
}

/** Whether the gate and up of an MLP that all rows go through are computed as those of a shared expert. */
export function decodesGateUp(recording: Recording, weights: readonly Weight[]): boolean {
  return !productsByTiles(recording, recording.capacity.rows) && decodesExperts(recording) &&
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
  const { tiles, ...teams } = teamsFor(device, gate.values, Math.ceil(outputs / 4));
  const none = { gate: nothing, gate_factors: nothing, up: nothing, up_factors: nothing, chosen: nothing };
  recording.dispatch(
    SHADERS.decodeGateUp,
    {
      constants: {
        ...scaling(recording, gate).constants,
        ...{ ROWS, PER_ROW: 1, TILES: 0, SHARED: true },
        ...teams,
        COLUMNS: width / 4,
      },
      weight: weightType(gate),
      workgroups: ({ rows }) => Math.ceil(rows / ROWS) * Math.ceil(outputs / (4 * tiles)),
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
    { outputs: 0, first: 0, count: 0, shared_outputs: outputs, epsilon: norm.eps, scale: 0 },
  );
}
