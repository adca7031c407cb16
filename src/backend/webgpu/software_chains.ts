/** Operations that go together in one dispatch, on a CPU that computes in one thread. */
import type { Ops } from "../backend.ts";
import { byTiles } from "./prefill_dense.ts";
import type { Recording } from "./recording.ts";
import { experts, linearLayer } from "./software_layers.ts";

type Operands<K extends keyof Ops> = Parameters<Ops[K]>;

/** An operation and what it is called with. */
export type Operation = { readonly [K in keyof Ops]: readonly [name: K, ...operands: Operands<K>] }[keyof Ops];

/**
 * Records the operations that come first in one dispatch; returns how many they are, 0 if the first goes by itself. Where workgroups follow
 * each other anyway, one may do the work of all and go on: its barriers cost nothing beside a dispatch.
 */
export function chain(recording: Recording, [first, second, third]: readonly Operation[]): number {
  const { device, capacity } = recording;
  if (!device.serial || byTiles(capacity.rows)) return 0;
  if (first?.[0] === "route" && second?.[0] === "expertsGateUp" && third?.[0] === "expertsDownAdd") {
    const [route, gateUp, downAdd] = [operandsOf(first), operandsOf(second), operandsOf(third)];
    const [{ ids, weights }, hidden, norm] = route;
    const goOn = gateUp[1] === hidden && gateUp[2] === norm && gateUp[3].ids === ids &&
      gateUp[6]?.out === downAdd[4]?.x && downAdd[0] === hidden && downAdd[1] === gateUp[0] &&
      downAdd[2].ids === ids && downAdd[2].weights === weights;
    return goOn && experts(recording, route, gateUp, downAdd) ? 3 : 0;
  }
  if (first?.[0] === "project" && second?.[0] === "linearAttention" && third?.[0] === "projectAdd") {
    const [project, attention, back] = [operandsOf(first), operandsOf(second), operandsOf(third)];
    const [[qkv, gate, ...others], hidden] = project;
    const goOn = attention[1] === qkv && attention[2] === gate && others.length === 0 &&
      back[0] === hidden && back[1] === attention[0];
    return goOn && linearLayer(recording, project, attention, back) ? 3 : 0;
  }
  return 0;
}

function operandsOf<K extends keyof Ops>([, ...operands]: readonly [name: K, ...operands: Operands<K>]): Operands<K> {
  return operands as Operands<K>;
}
