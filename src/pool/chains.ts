/** Which ways through the stages of a pool there should be, so that each stage is on one that has all layers. */
import type { LayerRange } from "../pipeline/steps.ts";

/** A stage by what it has. */
export interface Ranged {
  readonly id: string;
  readonly layers: LayerRange;
}

/**
 * The next chain to make, from the first layer to the last: through a stage that is on none, and else through those that are on the fewest.
 * Null if each is on one, as far as there is one.
 * @param chains those that there are
 * @param burdens counted like further chains through a stage: it has failed lately
 */
export function nextChain<Stage extends Ranged>(
  stages: readonly Stage[],
  chains: readonly (readonly string[])[],
  layers: number,
  burdens: ReadonlyMap<string, number> = new Map(),
): Stage[] | null {
  const used = new Map(stages.map(({ id }) => [id, chains.filter((chain) => chain.includes(id)).length]));
  const cost = ({ id }: Stage) => 1 + (used.get(id)! + (burdens.get(id) ?? 0)) * stages.length;
  for (const stage of stages.filter(({ id }) => used.get(id) === 0).toSorted((a, b) => cost(a) - cost(b))) {
    const before = cheapest(stages, 0, stage.layers.start, cost);
    const behind = cheapest(stages, stage.layers.end, layers, cost);
    if (before && behind) return [...before, stage, ...behind];
  }
  return null;
}

/** The chain from one border between layers to another that costs least; null if there is none. */
function cheapest<Stage extends Ranged>(
  stages: readonly Stage[],
  from: number,
  to: number,
  costOf: (stage: Stage) => number,
): Stage[] | null {
  const best = new Map<number, { readonly cost: number; readonly chain: Stage[] }>([[from, { cost: 0, chain: [] }]]);
  // A chain only goes on to later layers, so that what is best up to a stage's first layer is known when it is its turn.
  for (const stage of stages.toSorted((a, b) => a.layers.start - b.layers.start)) {
    const { start, end } = stage.layers;
    const way = best.get(start);
    if (way === undefined || end > to) continue;
    const cost = way.cost + costOf(stage);
    if (cost < (best.get(end)?.cost ?? Infinity)) best.set(end, { cost, chain: [...way.chain, stage] });
  }
  return best.get(to)?.chain ?? null;
}

/** What is wanting for a chain: layers that nobody has; none if there is a chain, or the ranges only do not join. */
export function missingLayers(stages: readonly Pick<Ranged, "layers">[], layers: number): LayerRange[] {
  const missing: LayerRange[] = [];
  let covered = 0;
  for (const { layers: { start, end } } of stages.toSorted((a, b) => a.layers.start - b.layers.start)) {
    if (start > covered) missing.push({ start: covered, end: Math.min(start, layers) });
    covered = Math.max(covered, end);
  }
  if (covered < layers) missing.push({ start: covered, end: layers });
  return missing;
}

/** `0-9` */
export const rangeName = ({ start, end }: LayerRange): string => end - start === 1 ? `${start}` : `${start}-${end - 1}`;
