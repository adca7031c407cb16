/** Halves of a layer in one dispatch, row by row, on a CPU that computes in one thread (software_chains.ts). */
import { SHADERS } from "../../../shaders/mod.ts";
import type { Ops } from "../backend.ts";
import type { Tensor, Weight } from "../tensor.ts";
import { checkHeads } from "./attention_ops.ts";
import { decayFactors } from "./decode_attention.ts";
import { own, type Recording, weightType, whole } from "./recording.ts";
import { routerConstants } from "./software_experts.ts";
import { byStrips, STRIP } from "./software_products.ts";

type Operands<K extends keyof Ops> = Parameters<Ops[K]>;

/** Whether the kernels are for weights: of one type that has no factors, each in one part, of whole strips. */
function areAlike(recording: Recording, weights: readonly Weight[]): boolean {
  const types = new Set(weights.map(({ values }) => values.dtype));
  return types.size === 1 && byStrips(recording, weights) &&
    weights.every(({ values, scales }) => scales === null && own(values).parts.length === 1);
}

/** Whether a workgroup may have so many f32 in its memory. */
function hasRoom({ device }: Recording, elements: number): boolean {
  return 4 * elements <= device.gpu.limits.maxComputeWorkgroupStorageSize;
}

const bound = ({ values }: Weight): GPUBuffer => whole(values, values.dtype);

const optional = ({ memory }: Recording, tensor: Tensor | null | undefined): GPUBuffer =>
  tensor ? whole(tensor, tensor.dtype) : memory.nothing;

/** Router, chosen experts and the one beside them; nothing is left but what they add to hidden. False where no kernel is for them. */
export function experts(
  recording: Recording,
  [, hidden, norm, map, router]: Operands<"route">,
  [, , , , gate, up, sharedUp]: Operands<"expertsGateUp">,
  [, , , down, sharedDown]: Operands<"expertsDownAdd">,
): boolean {
  const shared = sharedUp && sharedDown ? [sharedUp.gate, sharedUp.up, sharedDown.down] : [];
  if (!areAlike(recording, [map, gate, up, down, ...shared])) return false;
  const [count, inner, width] = gate.values.shape as [number, number, number];
  const sharedInner = shared[0]?.values.shape[0] ?? 0;
  const all = router.perToken * inner + sharedInner;
  if (!hasRoom(recording, Math.max(width, all) + Math.max(width, count, 2 * all) + 4 * count)) return false;
  recording.dispatch(
    SHADERS.softwareExperts,
    {
      constants: {
        ...{ STRIPS: width / STRIP, INNER: inner / STRIP, SHARED_INNER: sharedInner / STRIP },
        ...routerConstants(count, router),
      },
      weight: weightType(map),
      workgroups: ({ rows }) => rows,
    },
    {
      ...{ hidden: whole(hidden), norm: whole(norm.weight), map: bound(map), bias: optional(recording, router.bias) },
      ...{ gate: bound(gate), up: bound(up), down: bound(down) },
      shared_gate: optional(recording, shared[0]?.values),
      shared_up: optional(recording, shared[1]?.values),
      shared_down: optional(recording, shared[2]?.values),
    },
    { scale: router.scale, epsilon: norm.eps },
  );
  recording.changed(hidden);
  return true;
}

/** Projection, linear attention and the way back of one row; nothing is left but the state and what is added to hidden. False as above. */
export function linearLayer(
  recording: Recording,
  [, hidden, norm, [qkv, gate]]: Operands<"project">,
  [, , , state, how]: Operands<"linearAttention">,
  [, , dense]: Operands<"projectAdd">,
): boolean {
  const { heads, headDim, silu, queryNorm, keyNorm, rope, logDecay, groupNorm, groups } = how;
  const { capacity, device } = recording;
  const maps = [qkv!, gate!, dense];
  const [width, values, half] = [hidden.shape.at(-1)!, heads * headDim, rope?.shape.at(-1) ?? 0];
  if (capacity.rows > 1 || maps.some(({ bias }) => bias !== null)) return false;
  if (headDim % (8 * device.lanes) !== 0 || half % 8 !== 0 || values % (STRIP * groups) !== 0) return false;
  if (!areAlike(recording, maps.map(({ weight }) => weight))) return false;
  if (!hasRoom(recording, Math.max(width, values) + Math.max(width, 4 * values) + 3 * values)) return false;
  checkHeads(how);
  recording.bounds({ places: state.shape[0]!, context: rope?.shape[0] ?? Infinity });
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
      ...{ hidden: whole(hidden), norm: whole(norm.weight) },
      ...{ qkv_map: bound(qkv!.weight), gate_map: bound(gate!.weight), dense: bound(dense.weight) },
      query_weight: optional(recording, queryNorm?.weight),
      key_weight: optional(recording, keyNorm?.weight),
      rope: optional(recording, rope),
      decay: decayFactors(recording, logDecay),
      ...{ state: whole(state), group_norm: whole(groupNorm.weight) },
    },
    {
      ...{ half, query_epsilon: queryNorm?.eps ?? 0, key_epsilon: keyNorm?.eps ?? 0 },
      ...{ epsilon: norm.eps, group_epsilon: groupNorm.eps },
    },
  );
  recording.changed(hidden);
  return true;
}
