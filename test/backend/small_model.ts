/** A layer of each kind and a head on seeded weights, small enough to run many times. */
import type { LinearAttention, Ops, Router, StepInput } from "../../src/backend/backend.ts";
import type { Tensor } from "../../src/backend/tensor.ts";
import { cacheOf, withPages } from "./attention_cases.ts";
import { type CaseMaker, hiddenStep } from "./case_maker.ts";

const WIDTH = 32;
const CONTEXT = 64;

/** Logits of a token. */
export const VOCABULARY = 50;

/** Steps of at most `rows` rows over sequences in `slots` slots: what to record, and what it gives, [rows, VOCABULARY]. */
export function smallModel(
  make: CaseMaker,
  rows: number,
  slots: number,
): { build: (ops: Ops) => void; logits: Tensor } {
  const [heads, D, I, E, K] = [2, 16, 32, 8, 2];
  const f32 = (label: string, ...shape: number[]) => make.empty(label, [rows, ...shape]);
  const hidden = f32("hidden", WIDTH);
  const [qkv, gate, mixed] = [f32("qkv", 3 * heads * D), f32("gate", heads * D), f32("mixed", heads * D)];
  const [dense, experts, logits] = [f32("dense", I), f32("experts", K, I), f32("logits", VOCABULARY)];
  const state = make.empty("state", [slots, heads, D, D]);
  const cache = cacheOf(make, { blocks: blocksOf(slots) }, [heads, D]);
  const routing = { ids: make.empty("ids", [rows, K], "u32"), weights: f32("weights", K) };
  const how: LinearAttention = {
    ...{ heads, kvHeads: heads, headDim: D, silu: false, queryNorm: make.norm(D), keyNorm: make.norm(D) },
    ...{ rope: make.rope(CONTEXT, 4), logDecay: [-0.1, -0.01], groupNorm: make.norm(heads * D), groups: 2 },
  };
  const router: Router = {
    ...{ score: "sigmoid", groups: 2, groupsKept: 1, perToken: K, normalize: true, scale: 2.5, bias: null },
  };
  const norm = make.norm(WIDTH);
  const [linear, softmax] = [make.linear("bf16", [3 * heads * D, WIDTH]), make.linear("f16", [3 * heads * D, WIDTH])];
  const [gateMap, back] = [make.linear("bf16", [heads * D, WIDTH]), make.linear("f32", [WIDTH, heads * D])];
  const [up, down] = [make.weight("q8", [I, WIDTH]), make.linear("bf16", [WIDTH, I])];
  const [expertUp, expertDown] = [make.weight("f8_e4m3", [E, I, WIDTH]), make.weight("q4", [E, WIDTH, I])];
  const [map, head] = [make.weight("f32", [E, WIDTH]), make.weight("bf16", [VOCABULARY, WIDTH])];
  const build = (ops: Ops) => {
    ops.receive(hidden);
    ops.project([qkv, gate], hidden, norm, [linear, gateMap]);
    ops.linearAttention(mixed, qkv, gate, state, how);
    ops.projectAdd(hidden, mixed, back);
    ops.project([qkv], hidden, norm, [softmax]);
    ops.softmaxAttention(mixed, qkv, cache, how);
    ops.projectAdd(hidden, mixed, back);
    ops.route(routing, hidden, norm, map, router);
    ops.expertsGateUp(experts, hidden, norm, routing, expertUp, expertUp);
    ops.gateUp(dense, hidden, norm, up, up);
    ops.expertsDownAdd(hidden, experts, routing, expertDown);
    ops.projectAdd(hidden, dense, down);
    ops.head(logits, hidden, norm, head);
  };
  return { build, logits };
}

/** A page for each slot. */
const blocksOf = (slots: number) => [1, slots - 1];

/** A step over sequences of one of `slots` slots each, each with the rows that belong to its slot wherever it runs; every row is an output. */
export function sequencesStep(
  segments: readonly (readonly [slot: number, start: number, rows: number])[],
  slots: number,
): StepInput {
  const rows = segments.flatMap(([slot, start, count]) => {
    const all = hiddenStep(WIDTH, [[slot, 0, CONTEXT]], [], slot + 7).rows as Float32Array;
    return [...all.subarray(start * WIDTH, (start + count) * WIDTH)];
  });
  const step = {
    segments: segments.map(([slot, start, rows]) => ({ slot, start, rows })),
    outputs: Uint32Array.from({ length: rows.length / WIDTH }, (_, row) => row),
    rows: Float32Array.from(rows),
  };
  return withPages([step], { blocks: blocksOf(slots) }, 1)[0]!;
}
