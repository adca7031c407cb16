/** What a plan is recorded from: the list of its operations, each lowered to dispatches by itself, or some together. */
import type { Ops } from "../backend.ts";
import { linearAttention } from "./attention_ops.ts";
import { candidates, draw } from "./candidate_ops.ts";
import { embed, gateUp, head, project, projectAdd, receive } from "./dense_ops.ts";
import { expertsDownAdd, expertsGateUp, route } from "./expert_ops.ts";
import type { Recording } from "./recording.ts";
import { softmaxAttention } from "./softmax_attention.ts";
import { chain, type Operation } from "./software_chains.ts";

type Lowering<K extends keyof Ops> = (recording: Recording, ...operands: Parameters<Ops[K]>) => void;

const LOWERINGS: { readonly [K in keyof Ops]: Lowering<K> } = {
  ...{ embed, receive, project, projectAdd, linearAttention, softmaxAttention, gateUp },
  ...{ route, expertsGateUp, expertsDownAdd, head, candidates, draw },
};

/** Operations that `build` calls, in order. */
export function operationsOf(build: (ops: Ops) => void): Operation[] {
  const all: Operation[] = [];
  const list = (name: string) => (...operands: unknown[]) => void all.push([name, ...operands] as unknown as Operation);
  build(Object.fromEntries(Object.keys(LOWERINGS).map((name) => [name, list(name)])) as unknown as Ops);
  return all;
}

/** Records the dispatches of operations. */
export function lower(recording: Recording, operations: readonly Operation[]): void {
  for (let i = 0; i < operations.length;) {
    const together = chain(recording, operations.slice(i));
    if (together === 0) lowerOne(recording, operations[i]!);
    i += Math.max(1, together);
  }
}

function lowerOne(recording: Recording, [name, ...operands]: Operation): void {
  (LOWERINGS[name] as (recording: Recording, ...operands: unknown[]) => void)(recording, ...operands);
}
