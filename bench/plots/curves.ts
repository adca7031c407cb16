/** Curves of speed against context, out of what `ringlet bench --json` printed, and where two of them cross. */

/** Tokens of context, and tokens a second there. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Points by ascending x, no x twice. */
export type Curve = readonly Point[];

export type Phase = "prefill" | "decode";

/** What is read of a report. */
export interface Report {
  readonly ceilings: { readonly device: string };
  readonly results: readonly {
    readonly promptTokens: number;
    readonly batch: number;
    readonly prefill: { readonly tokensPerSecond: number };
    readonly decode: { readonly tokensPerSecond: number };
  }[];
}

/**
 * The curve of one phase, of single sequences: prefill of prompts of x tokens, or decoding after them.
 * @throws RangeError if fewer than two contexts, or one of them twice, were measured
 */
export function curveOf(reports: readonly Report[], phase: Phase): Curve {
  const points = reports.flatMap(({ results }) => results).filter(({ batch }) => batch === 1)
    .map((result) => ({ x: result.promptTokens, y: result[phase].tokensPerSecond }))
    .toSorted((a, b) => a.x - b.x);
  const twice = points.find(({ x }, i) => x === points[i + 1]?.x);
  if (twice) throw new RangeError(`Cannot draw a curve with a context of ${twice.x} tokens measured twice`);
  if (points.length < 2) {
    throw new RangeError("Cannot draw a curve of fewer than two contexts: measure more of batch 1");
  }
  return points;
}

/** y at x on the line between its neighbours, with x in logarithms; null outside of the curve. */
export function valueAt(curve: Curve, x: number): number | null {
  const after = curve.findIndex((point) => point.x >= x);
  if (after < 0) return null;
  const b = curve[after]!;
  if (b.x === x) return b.y;
  const a = curve[after - 1];
  return a ? a.y + (b.y - a.y) * Math.log(x / a.x) / Math.log(b.x / a.x) : null;
}

/** Where two curves cross, by ascending x, on the lines between what was measured; where they only touch they do not. */
export function crossings(one: Curve, other: Curve): Point[] {
  const xs = [...new Set([...one, ...other].map(({ x }) => x))].sort((a, b) => a - b);
  const gaps = xs.flatMap((x) => {
    const [a, b] = [valueAt(one, x), valueAt(other, x)];
    return a === null || b === null || a === b ? [] : [{ x, gap: a - b }];
  });
  return gaps.slice(1).flatMap(({ x, gap }, i) => {
    const before = gaps[i]!;
    if (before.gap * gap > 0) return [];
    // Both lines are straight over ln x, and so is the gap between them.
    const at = before.x * (x / before.x) ** (before.gap / (before.gap - gap));
    return [{ x: at, y: valueAt(one, at)! }];
  });
}
