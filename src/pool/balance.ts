/** Which of several routes has the least to do, where they may share stages. */

interface Staged {
  readonly stages: readonly string[];
}

/** So many times as many sequences as the lightest route has, and one, may be on one that has the beginning of a prompt: reading it anew costs. */
const MOST_UNEVEN = 1.5;

/** Sequences on the busiest stage of a route, and on its stages together, whatever routes they are on. */
function loadOf<Route extends Staged>(
  { stages }: Route,
  routes: readonly Route[],
  sequences: (route: Route) => number,
): { readonly most: number; readonly sum: number } {
  const counts = stages.map((stage) =>
    routes.reduce((sum, route) => sum + (route.stages.includes(stage) ? sequences(route) : 0), 0)
  );
  return { most: Math.max(...counts), sum: counts.reduce((sum, count) => sum + count, 0) };
}

/** The route whose busiest stage has the fewest sequences, of several the one whose stages have the fewest together, and then the last. */
export function lightest<Route extends Staged>(
  routes: readonly Route[],
  sequences: (route: Route) => number,
): Route | undefined {
  const loads = routes.toReversed().map((route) => ({ route, ...loadOf(route, routes, sequences) }));
  return loads.toSorted((a, b) => a.most - b.most || a.sum - b.sum)[0]?.route;
}

/** Whether a route has so many sequences that another one had better begin a prompt of which this one has the beginning. */
export function isCrowded<Route extends Staged>(
  route: Route,
  routes: readonly Route[],
  sequences: (route: Route) => number,
): boolean {
  const load = (one: Route) => loadOf(one, routes, sequences).most;
  return load(route) > MOST_UNEVEN * load(lightest(routes, sequences)!) + 1;
}
