/** A picture of curves over a logarithmic axis of contexts, as SVG that suits light and dark pages. */
import type { Curve, Point } from "./curves.ts";

export interface Plot {
  readonly title: string;
  /** A line below the title: what was measured on what. */
  readonly subtitle: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Two at most, each with a name that is written at its end. */
  readonly curves: readonly { readonly name: string; readonly points: Curve }[];
  /** Named places. */
  readonly marks: readonly (Point & { readonly text: string })[];
}

const [WIDTH, HEIGHT] = [760, 440];
const AREA = { left: 76, right: WIDTH - 156, top: 72, bottom: HEIGHT - 60 };

/** Distance of texts below each other. */
const LINE_HEIGHT = 18;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .title { font-size: 16px; font-weight: 600; }
    .quiet { fill: #59636e; }
    .grid { stroke: #d1d9e0; }
    .axis { stroke: #818b98; }
    .mark { stroke: #818b98; stroke-dasharray: 4 4; }
    .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
    .c0 { stroke: #0969da; } .dot0, .name0 { fill: #0969da; }
    .c1 { stroke: #bc4c00; } .dot1, .name1 { fill: #bc4c00; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; }
      .c0 { stroke: #58a6ff; } .dot0, .name0 { fill: #58a6ff; }
      .c1 { stroke: #f0883e; } .dot1, .name1 { fill: #f0883e; }
    }`;

/** The whole file. */
export function toSvg(plot: Plot): string {
  const scale = new Scale(plot.curves.flatMap(({ points }) => points));
  const parts = [
    `<text class="title" x="${AREA.left}" y="26">${escaped(plot.title)}</text>`,
    `<text class="quiet" x="${AREA.left}" y="48">${escaped(plot.subtitle)}</text>`,
    ...xAxis(scale, plot.xLabel),
    ...yAxis(scale, plot.yLabel),
    ...plot.marks.flatMap((mark, i) => markLines(scale, mark, AREA.bottom - 10 - i * LINE_HEIGHT)),
    ...plot.curves.flatMap(({ points }, i) => curveLines(scale, points, i)),
    ...names(scale, plot.curves),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(plot.title)}</title>`,
    `<style>${STYLE}\n</style>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** From tokens and tokens a second to places: the area ends at the curves' ends, and at a round figure above the highest. */
class Scale {
  readonly yStep: number;
  readonly yMost: number;
  readonly #least: number;
  readonly #most: number;

  constructor(points: readonly Point[]) {
    this.#least = Math.min(...points.map(({ x }) => x));
    this.#most = Math.max(...points.map(({ x }) => x));
    const highest = Math.max(...points.map(({ y }) => y));
    this.yStep = roundStep(highest / 5);
    this.yMost = this.yStep * Math.ceil(highest / this.yStep);
  }

  /** Powers of two from end to end. */
  get xTicks(): number[] {
    const [first, last] = [Math.ceil(Math.log2(this.#least)), Math.floor(Math.log2(this.#most))];
    return Array.from({ length: last - first + 1 }, (_, i) => 2 ** (first + i));
  }

  get yTicks(): number[] {
    return Array.from({ length: Math.round(this.yMost / this.yStep) + 1 }, (_, i) => i * this.yStep);
  }

  x(value: number): number {
    return place(AREA.left, AREA.right, Math.log(value / this.#least) / Math.log(this.#most / this.#least));
  }

  y(value: number): number {
    return place(AREA.bottom, AREA.top, value / this.yMost);
  }
}

const place = (from: number, to: number, share: number): number => Math.round(10 * (from + (to - from) * share)) / 10;

/** 1, 2 or 5 times a power of ten, and at least `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((digit) => digit * power >= least)!;
}

function xAxis(scale: Scale, label: string): string[] {
  const y = AREA.bottom;
  return [
    `<line class="axis" x1="${AREA.left}" x2="${AREA.right}" y1="${y}" y2="${y}"/>`,
    ...scale.xTicks.map((tick) => {
      const x = scale.x(tick);
      return `<line class="axis" x1="${x}" x2="${x}" y1="${y}" y2="${y + 5}"/>` +
        `<text class="quiet" x="${x}" y="${y + 21}" text-anchor="middle">${tokens(tick)}</text>`;
    }),
    `<text x="${(AREA.left + AREA.right) / 2}" y="${y + 46}" text-anchor="middle">${escaped(label)}</text>`,
  ];
}

function yAxis(scale: Scale, label: string): string[] {
  const middle = (AREA.top + AREA.bottom) / 2;
  return [
    ...scale.yTicks.map((tick) => {
      const y = scale.y(tick);
      return `<line class="grid" x1="${AREA.left}" x2="${AREA.right}" y1="${y}" y2="${y}"/>` +
        `<text class="quiet" x="${AREA.left - 9}" y="${y + 4.5}" text-anchor="end">${tick.toLocaleString("en")}</text>`;
    }),
    `<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escaped(label)}</text>`,
  ];
}

function curveLines(scale: Scale, points: Curve, index: number): string[] {
  const places = points.map(({ x, y }) => [scale.x(x), scale.y(y)] as const);
  return [
    `<polyline class="curve c${index}" points="${places.join(" ")}"/>`,
    ...places.map(([x, y]) => `<circle class="dot${index}" cx="${x}" cy="${y}" r="3.5"/>`),
  ];
}

/** Names at the right ends, far enough from each other to be read. */
function names(scale: Scale, curves: Plot["curves"]): string[] {
  const ends = curves.map(({ name, points }, index) => ({ name, index, y: scale.y(points.at(-1)!.y) + 4.5 }));
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => end.y = Math.max(end.y, i === 0 ? 0 : ends[i - 1]!.y + LINE_HEIGHT));
  return ends.map(({ name, index, y }) =>
    `<text class="name${index}" x="${AREA.right + 10}" y="${y}">${escaped(name)}</text>`
  );
}

function markLines(scale: Scale, { x, text }: Plot["marks"][number], y: number): string[] {
  const at = scale.x(x);
  const [anchor, beside] = at > (AREA.left + AREA.right) / 2 ? ["end", -7] : ["start", 7];
  return [
    `<line class="mark" x1="${at}" x2="${at}" y1="${AREA.top}" y2="${AREA.bottom}"/>`,
    `<text x="${at + beside}" y="${y}" text-anchor="${anchor}">${escaped(text)}</text>`,
  ];
}

/** 131072 as `128K`. */
export function tokens(count: number): string {
  return count < 1024 ? String(Math.round(count)) : `${Number((count / 1024).toPrecision(3))}K`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
