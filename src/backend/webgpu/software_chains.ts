/**
 * Operations that follow each other in one dispatch, on a CPU that computes in one thread: workgroups follow each other there anyway, so
 * that one may do the work of all and go on, and its barriers cost nothing beside a dispatch.
 */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Ops } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { checkHeads } from "./attention_ops.ts";
import { decayFactors } from "./decode_attention.ts";
import type { Operation } from "./operations.ts";
import { byTiles } from "./prefill_dense.ts";
import { own, type Recording, weightType, whole } from "./recording.ts";
import { byStrips, STRIP } from "./software_products.ts";

type Operands<K extends keyof Ops> = Parameters<Ops[K]>;

/** Records the operations that come first in one dispatch; returns how many they are, 0 if each goes by itself. */
export function chain(recording: Recording, [first, second, third]: readonly Operation[]): number {
  if (!recording.device.serial || byTiles(recording.capacity.rows)) return 0;
  if (first?.[0] === "route" && second?.[0] === "expertsGateUp" && third?.[0] === "expertsDownAdd") {
    return experts(recording, operandsOf(first), operandsOf(second), operandsOf(third)) ? 3 : 0;
  }
  if (first?.[0] === "project" && second?.[0] === "linearAttention" && third?.[0] === "projectAdd") {
    return linearLayer(recording, operandsOf(first), operandsOf(second), operandsOf(third)) ? 3 : 0;
  }
  return 0;
}

function operandsOf<K extends keyof Ops>([, ...operands]: readonly [name: K, ...operands: Operands<K>]): Operands<K> {
  return operands as Operands<K>;
}

/** Whether the kernels are for weights: of one type that has no factors, each in one part, of whole strips. */
function areAlike(recording: Recording, weights: readonly Weight[]): boolean {
  const [first] = weights;
  return byStrips(recording, weights) &&
    weights.every(({ values, scales }) =>
      values.dtype === first!.values.dtype && scales === null && own(values).parts.length === 1
    );
}

/** Whether a workgroup may have so many f32 in its memory. */
function hasRoom({ device }: Recording, elements: number): boolean {
  return 4 * elements <= device.gpu.limits.maxComputeWorkgroupStorageSize;
}

const bound = ({ values }: Weight): GPUBuffer => whole(values, values.dtype);

const optional = ({ memory }: Recording, tensor: Tensor | null): GPUBuffer =>
  tensor === null ? memory.nothing : whole(tensor);

function experts(
  recording: Recording,
  [, hidden, norm, map, { score, groups, groupsKept, perToken, normalize, scale, bias }]: Operands<"route">,
  [, , , , gate, up, sharedUp]: Operands<"expertsGateUp">,
  [, , , down, sharedDown]: Operands<"expertsDownAdd">,
): boolean {
  const shared = sharedUp && sharedDown ? [sharedUp.gate, sharedUp.up, sharedDown.down] as const : null;
  if (!areAlike(recording, [map, gate, up, down, ...shared ?? []])) return false;
  const { memory: { nothing } } = recording;
  const [count, inner, width] = gate.values.shape as [number, number, number];
  const sharedInner = shared?.[0].values.shape[0] ?? 0;
  const all = perToken * inner + sharedInner;
  if (!hasRoom(recording, Math.max(width, all) + Math.max(width, count, 2 * all) + 3 * count)) return false;
  recording.dispatch(
    SHADERS.softwareExperts,
    {
      constants: {
        ...{ STRIPS: width / STRIP, INNER: inner / STRIP, SHARED_INNER: sharedInner / STRIP },
        ...{ EXPERTS: count, GROUPS: groups, GROUPS_KEPT: groups === 1 ? 1 : groupsKept, PER_TOKEN: perToken },
        ...{ SOFTMAX: score === "softmax", NORMALIZE: normalize && perToken > 1, BIAS: bias !== null },
      },
      weight: weightType(map),
      workgroups: ({ rows }) => rows,
    },
    {
      hidden: whole(hidden),
      norm: whole(norm.weight),
      map: bound(map),
      bias: optional(recording, bias),
      gate: bound(gate),
      up: bound(up),
      down: bound(down),
      shared_gate: shared === null ? nothing : bound(shared[0]),
      shared_up: shared === null ? nothing : bound(shared[1]),
      shared_down: shared === null ? nothing : bound(shared[2]),
    },
    { scale, epsilon: norm.eps },
  );
  recording.changed(hidden);
  return true;
}

function linearLayer(
  recording: Recording,
  [, hidden, norm, [qkv, gate, ...others]]: Operands<"project">,
  [, , , state, how]: Operands<"linearAttention">,
  [, , dense]: Operands<"projectAdd">,
): boolean {
  const { heads, headDim, silu, queryNorm, keyNorm, rope, logDecay, groupNorm, groups } = how;
  const { capacity, device } = recording;
  const half = rope?.shape.at(-1) ?? 0;
  const [width, values] = [hidden.shape.at(-1)!, heads * headDim];
  if (capacity.rows > 1 || qkv === undefined || gate === undefined || others.length > 0) return false;
  if (![qkv, gate, dense].every(({ bias }) => bias === null)) return false;
  if (!areAlike(recording, [qkv.weight, gate.weight, dense.weight]) || own(state).parts.length > 1) return false;
  if (headDim % (8 * device.lanes) !== 0 || half % 8 !== 0 || values % (STRIP * groups) !== 0) return false;
  if (!hasRoom(recording, Math.max(width, values) + Math.max(width, 4 * values) + 3 * values)) return false;
  checkHeads(how);
  recording.bounds({ slots: state.shape[0]!, context: rope?.shape[0] ?? Infinity });
  recording.dispatch(
    SHADERS.softwareLinearLayer,
    {
      constants: {
        ...{ STRIPS: width / STRIP, WIDTH: values, SIZE: headDim, GROUPS: groups },
        ...{ SILU: silu, NORM: queryNorm !== null, ROTATE: rope !== null },
      },
      weight: weightType(dense.weight),
      workgroups: ({ rows }) => rows,
    },
    {
      hidden: whole(hidden),
      norm: whole(norm.weight),
      qkv_map: bound(qkv.weight),
      gate_map: bound(gate.weight),
      dense: bound(dense.weight),
      query_weight: optional(recording, queryNorm?.weight ?? null),
      key_weight: optional(recording, keyNorm?.weight ?? null),
      rope: optional(recording, rope),
      decay: decayFactors(recording, logDecay),
      state: whole(state),
      group_norm: whole(groupNorm.weight),
    },
    {
      half,
      query_epsilon: queryNorm?.eps ?? 0,
      key_epsilon: keyNorm?.eps ?? 0,
      epsilon: norm.eps,
      group_epsilon: groupNorm.eps,
    },
  );
  recording.changed(hidden);
  return true;
}
