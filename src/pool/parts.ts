/** A step whose sequences are on several routes, in a part for each; and what comes of the parts, as if it had been one. */
import type { Candidates, Segment, Step } from "../pipeline/steps.ts";

/** What goes along one route. */
export interface Part<Route> {
  readonly route: Route;
  readonly segments: readonly Segment[];
  /** Which segments of the step they are. */
  readonly numbers: readonly number[];
  /** [T'] of the segments. */
  readonly tokens: Uint32Array;
  /** Rows of the part whose logits are wanted, ascending. */
  readonly outputs: Uint32Array;
  /** Of each of these, which output of the step it is. */
  readonly places: readonly number[];
}

/** @param routes that of each segment. */
export function partsOf<Route>(step: Step, tokens: Uint32Array, routes: readonly Route[]): Part<Route>[] {
  const rows = step.segments.flatMap(({ rows }, i) => Array<Route>(rows).fill(routes[i]!)); // the route of each row
  return [...new Set(routes)].map((route) => {
    const own = Array.from(tokens.keys()).filter((row) => rows[row] === route);
    const places = Array.from(step.outputs.keys()).filter((place) => rows[step.outputs[place]!] === route);
    return {
      route,
      segments: step.segments.filter((_, i) => routes[i] === route),
      numbers: routes.flatMap((one, i) => one === route ? i : []),
      tokens: Uint32Array.from(own, (row) => tokens[row]!),
      outputs: Uint32Array.from(places, (place) => own.indexOf(step.outputs[place]!)),
      places,
    };
  });
}

type Placed = Pick<Part<unknown>, "places">;

/** The candidates of a step's R outputs, of which each part has some; zeros where none has. */
export function joinedCandidates(parts: readonly Placed[], found: readonly Candidates[], outputs: number): Candidates {
  if (parts[0]!.places.length === outputs) return found[0]!;
  const { perRow } = found[0]!;
  const millis = found.flatMap(({ gpuMillis }) => gpuMillis ?? []);
  return {
    perRow,
    ids: joinedRows(parts, found.map(({ ids }) => ids), new Uint32Array(perRow * outputs)),
    logits: joinedRows(parts, found.map(({ logits }) => logits), new Float32Array(perRow * outputs)),
    logSumExp: joinedRows(parts, found.map(({ logSumExp }) => logSumExp), new Float32Array(outputs)),
    ...(millis.length > 0 && { gpuMillis: Math.max(...millis) }), // they ran side by side
  };
}

/** [R, V] of a step's outputs. */
export function joinedLogits(
  parts: readonly Placed[],
  found: readonly Float32Array[],
  outputs: number,
  width: number,
): Float32Array {
  return parts[0]?.places.length === outputs ? found[0]! : joinedRows(parts, found, new Float32Array(width * outputs));
}

/** Rows, put where they belong in `joined`. */
function joinedRows<Values extends Float32Array | Uint32Array>(
  parts: readonly Placed[],
  found: readonly Values[],
  joined: Values,
): Values {
  for (const [i, { places }] of parts.entries()) {
    const width = found[i]!.length / places.length;
    for (const [row, place] of places.entries()) {
      joined.set(found[i]!.subarray(row * width, (row + 1) * width), place * width);
    }
  }
  return joined;
}
