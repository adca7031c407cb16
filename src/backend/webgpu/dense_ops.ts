/** Embedding and matrix products: what applies one weight to every row. */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Linear, Norm } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { byTiles, gatedGemm, gemm } from "./prefill_dense.ts";
import { own, type Recording, scaling, weightType, whole } from "./recording.ts";

/** Rows that share each weight read; results of a row are the same with either. */
type RowTile = 1 | 4;

const rowTile = (most: number): RowTile => most === 1 ? 1 : 4;

export function embed(recording: Recording, hidden: Tensor, table: Weight): void {
  const [vocabulary, width] = table.values.shape as [number, number];
  const { factors, constants } = scaling(recording, table);
  recording.takes({ type: "tokens", vocabulary });
  recording.changed(hidden);
  for (const { buffer, first, count } of own(table.values).parts) {
    recording.dispatch(
      SHADERS.embed,
      { constants, weight: weightType(table), workgroups: ({ rows }) => rows },
      { table: buffer, factors, hidden: whole(hidden) },
      { columns: width / 4, vocabulary, first, count },
    );
  }
}

export function receive(recording: Recording, hidden: Tensor): void {
  recording.takes({ type: "hidden", buffer: whole(hidden), width: hidden.shape.at(-1)! });
  recording.changed(hidden);
}

interface ProductOptions {
  /** Add to what `out` holds. */
  readonly add?: boolean;
  readonly rows?: "rows" | "outputs";
}

/** out = x @ W^T + b, or added to out: out[T, N], x[T, K], W[N, K] */
export function product(
  recording: Recording,
  out: Tensor | GPUBuffer,
  x: GPUBuffer,
  { weight, bias }: Linear,
  { add = false, rows = "rows" }: ProductOptions = {},
): void {
  if (byTiles(recording.capacity[rows])) return gemm(recording, out, x, { weight, bias }, { add, rows });
  const [outputs, width] = weight.values.shape as [number, number];
  const { factors, constants } = scaling(recording, weight);
  const ROWS = rowTile(recording.capacity[rows]);
  for (const { buffer, first, count } of own(weight.values).parts) {
    recording.dispatch(
      SHADERS.matmul,
      {
        constants: { ...constants, ROWS, OUTPUTS: rows === "outputs", BIAS: bias !== null, ADD: add },
        weight: weightType(weight),
        workgroups: (counts) => Math.ceil(counts[rows] / ROWS) * Math.ceil(count / 4),
      },
      {
        x,
        weight: buffer,
        factors,
        bias: bias === null ? recording.memory.nothing : whole(bias),
        out: out instanceof GPUBuffer ? out : whole(out),
      },
      { columns: width / 4, outputs, first, count },
    );
  }
}

export function project(
  recording: Recording,
  outs: readonly Tensor[],
  hidden: Tensor,
  norm: Norm,
  maps: readonly Linear[],
): void {
  const x = recording.normed(hidden, norm);
  maps.forEach((map, i) => product(recording, outs[i]!, x, map));
}

export function projectAdd(recording: Recording, hidden: Tensor, x: Tensor, map: Linear): void {
  product(recording, hidden, whole(x), map, { add: true });
  recording.changed(hidden);
}

export function head(recording: Recording, logits: Tensor, hidden: Tensor, norm: Norm, map: Weight): void {
  const x = recording.normed(hidden, norm, "outputs");
  product(recording, logits, x, { weight: map, bias: null }, { rows: "outputs" });
}

/** The chosen matrices of a stack, for every choice of every row. */
export interface Choices {
  /** u32 [T, perRow] */
  readonly ids: GPUBuffer;
  readonly perRow: number;
}

/** out = silu(x @ gate^T) ⊙ (x @ up^T), with one matrix each or with the chosen ones: out[T, I] or [T, K, I], gate and up [I, H] or [E, I, H] */
export function gatedProduct(
  recording: Recording,
  out: Tensor,
  x: GPUBuffer,
  gate: Weight,
  up: Weight,
  choices: Choices | null,
): void {
  const [outputs, width] = gate.values.shape.slice(-2) as [number, number];
  const scales = scaling(recording, gate);
  checkAlike(gate, up);
  if (choices === null && byTiles(recording.capacity.rows)) return gatedGemm(recording, out, x, gate, up);
  const upParts = own(up.values).parts;
  const ROWS = choices === null ? rowTile(recording.capacity.rows) : 1;
  const PER_ROW = choices?.perRow ?? 1;
  own(gate.values).parts.forEach(({ buffer, first, count }, i) => {
    // A dense weight's part has outputs of its own; a choice may fall on any row of a stack.
    const [start, tiles] = choices === null ? [first, Math.ceil(count / 4)] : [0, Math.ceil(outputs / 4)];
    recording.dispatch(
      SHADERS.gateUp,
      {
        constants: { ...scales.constants, ROWS, ROUTED: choices !== null, PER_ROW },
        weight: weightType(gate),
        workgroups: ({ rows }) => Math.ceil(rows * PER_ROW / ROWS) * tiles,
      },
      {
        x,
        gate: buffer,
        gate_factors: scales.factors,
        up: upParts[i]!.buffer,
        up_factors: scaling(recording, up).factors,
        ids: choices?.ids ?? recording.memory.nothing,
        out: whole(out),
      },
      { columns: width / 4, outputs, start, tiles, first, count },
    );
  });
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
