/** Embedding and matrix products: what applies one weight to every row. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Linear, Norm } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { batchGateUp, batchProduct, batchProject, byBatch, productsByTiles } from "./batch_products.ts";
import { decodeDenseGateUp, decodesGateUp } from "./decode_gate_up.ts";
import { decodeProduct, decodeProject, lanesFor } from "./decode_products.ts";
import { byMatrices, matrixGatedGemm, matrixGemm } from "./matrix_products.ts";
import { byTiles, gatedGemm, gemm } from "./prefill_dense.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";
import { softwareGateUp } from "./software_experts.ts";
import { byStrips } from "./software_products.ts";

export function embed(recording: Recording, hidden: Tensor, table: Weight): void {
  const [vocabulary, width] = table.values.shape as [number, number];
  const { factors, constants } = scaling(recording, table);
  const LANES = recording.device.wideLanes;
  recording.takes({ type: "tokens", vocabulary });
  recording.changed(hidden);
  for (const { buffer, first, count } of own(table.values).parts) {
    recording.dispatch(
      SHADERS.embed,
      {
        constants: { ...constants, LANES },
        weight: weightType(table),
        workgroups: ({ rows }) => rows * Math.ceil(width / 4 / LANES),
      },
      { table: buffer, factors, hidden: whole(hidden) },
      { columns: width / 4, vocabulary, first, count },
    );
  }
}

export function receive(recording: Recording, hidden: Tensor): void {
  recording.takes({ type: "hidden", buffer: whole(hidden), width: hidden.shape.at(-1)! });
  recording.changed(hidden);
}

export function project(
  recording: Recording,
  outs: readonly Tensor[],
  hidden: Tensor,
  norm: Norm,
  maps: readonly Linear[],
): void {
  if (byBatch(recording, recording.capacity.rows)) batchProject(recording, outs, hidden, norm, maps);
  else if (productsByTiles(recording, recording.capacity.rows)) {
    maps.forEach((map, i) => {
      if (byMatrices(recording, map.weight)) {
        matrixGemm(recording, outs[i]!, recording.halvedNorm(hidden, norm), map, {});
      } else gemm(recording, outs[i]!, recording.normed(hidden, norm), map, { add: false, rows: "rows" });
    });
  } else decodeProject(recording, outs, hidden, norm, maps);
}

export function projectAdd(recording: Recording, hidden: Tensor, x: Tensor, map: Linear): void {
  if (byBatch(recording, recording.capacity.rows)) batchProduct(recording, hidden, x, map, { add: true });
  else if (byMatrices(recording, map.weight)) {
    matrixGemm(recording, hidden, recording.halved(whole(x), x.shape.at(-1)!), map, { add: true });
  } else if (productsByTiles(recording, recording.capacity.rows)) {
    gemm(recording, hidden, whole(x), map, { add: true, rows: "rows" });
  } else decodeProduct(recording, hidden, x, map, { add: true, gated: recording.take(x, "gated") });
  recording.changed(hidden);
}

export function head(recording: Recording, logits: Tensor, hidden: Tensor, norm: Norm, map: Weight): void {
  const [linear, rows] = [{ weight: map, bias: null }, "outputs"] as const;
  if (byBatch(recording, recording.capacity.outputs)) {
    batchProduct(recording, logits, hidden, linear, { rows, norm });
  } else if (productsByTiles(recording, recording.capacity.outputs)) {
    gemm(recording, logits, recording.normed(hidden, norm, rows), linear, { add: false, rows });
  } else decodeProduct(recording, logits, hidden, linear, { rows, norm });
}

export function gateUp(recording: Recording, out: Tensor, hidden: Tensor, norm: Norm, gate: Weight, up: Weight): void {
  const [outputs, width] = gate.values.shape as [number, number];
  const { factors, constants } = scaling(recording, gate);
  checkAlike(gate, up);
  if (byBatch(recording, recording.capacity.rows)) {
    return batchGateUp(recording, out, hidden, norm, gate, up);
  }
  const many = byTiles(recording.capacity.rows);
  if (!many && byStrips(recording, [gate, up])) {
    return softwareGateUp(recording, out, hidden, norm, null, [gate, up], null);
  }
  if (decodesGateUp(recording, [gate, up])) return decodeDenseGateUp(recording, hidden, norm, { out, gate, up });
  if (byMatrices(recording, gate)) return matrixGatedGemm(recording, out, recording.halvedNorm(hidden, norm), gate, up);
  const x = recording.normed(hidden, norm);
  if (many) return gatedGemm(recording, out, x, gate, up);
  const upParts = own(up.values).parts;
  const ROWS = recording.capacity.rows === 1 ? 1 : 4;
  const LANES = lanesFor(recording.device, Math.ceil(outputs / 4), width / 4);
  own(gate.values).parts.forEach(({ buffer, first, count }, i) =>
    recording.dispatch(
      SHADERS.gateUp,
      {
        constants: { ...constants, LANES, ROWS },
        weight: weightType(gate),
        workgroups: ({ rows }) => Math.ceil(rows / ROWS) * Math.ceil(count / 4),
      },
      {
        x,
        gate: buffer,
        gate_factors: factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        out: whole(out),
      },
      { columns: width / 4, outputs, first, count },
    )
  );
}

/** One kernel reads both, so that they must be stored in the same way. */
function checkAlike(gate: Weight, up: Weight): void {
  const kinds = [gate, up].map(({ values, scales }) =>
    `${values.dtype} [${values.shape}] in blocks [${scales?.block ?? ""}]`
  );
  if (kinds[0] === kinds[1]) return;
  throw new TypeError(
    `Cannot use ${gate.values.label} with ${up.values.label}: they are stored as ${
      kinds.join(" and ")
    }; widen both to f32`,
  );
}
