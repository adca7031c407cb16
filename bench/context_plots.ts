/**
 * Draws speed against context of the hybrid model and its softmax sibling, from what `ringlet bench --json` printed of each:
 * `deno run -A bench/context_plots.ts --hybrid FILE --softmax FILE [--out docs]`; either may be given several times.
 */
import { parseArgs } from "node:util";
import { digits } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { crossings, type Curve, curveOf, type Phase, type Report, valueAt } from "./plots/curves.ts";
import { tokens, toSvg } from "./plots/line_plot.ts";

const { values: flags } = parseArgs({
  options: {
    hybrid: { type: "string", multiple: true, default: [] },
    softmax: { type: "string", multiple: true, default: [] },
    /** Folder for the two pictures. */
    out: { type: "string", default: "docs" },
  },
});

const TITLES: Readonly<Record<Phase, readonly [title: string, xLabel: string]>> = {
  prefill: ["Prefill: tokens a second by the length of the prompt", "tokens of the prompt"],
  decode: ["Decode: tokens a second by position, one sequence", "position in the sequence"],
};

const read = (paths: readonly string[]): Promise<Report[]> =>
  Promise.all(paths.map(async (path) => JSON.parse(await Deno.readTextFile(path)) as Report));

function draw(phase: Phase, hybrid: Curve, softmax: Curve, device: string): string {
  const [title, xLabel] = TITLES[phase];
  const found = crossings(hybrid, softmax);
  const where = found.length === 0
    ? "the curves do not cross in this range"
    : "crossings between measured points are interpolated";
  return toSvg({
    title,
    subtitle: `${device}, random weights; ${where}`,
    xLabel,
    yLabel: "tokens a second",
    curves: [{ name: "hybrid", points: hybrid }, { name: "softmax sibling", points: softmax }],
    marks: found.map((point) => ({ ...point, text: `cross at ${tokens(point.x)}` })),
  });
}

/** The same in figures: contexts that both were measured at. */
function table(phase: Phase, hybrid: Curve, softmax: Curve): string {
  const rows = hybrid.filter(({ x }) => softmax.some((point) => point.x === x)).map(({ x, y }) => {
    const other = valueAt(softmax, x)!;
    return `| ${tokens(x)} | ${digits(y)} | ${digits(other)} | ${digits(y / other)} |`;
  });
  const found = crossings(hybrid, softmax).map(({ x }) => tokens(x)).join(", ") || "none in the measured range";
  return [`| ${phase} at | hybrid tok/s | softmax tok/s | ratio |`, "| --- | --- | --- | --- |", ...rows, ""].join(
    "\n",
  ) +
    `\nCrossing: ${found}\n\n`;
}

const [hybrid, softmax] = [await read(flags.hybrid), await read(flags.softmax)];
for (const phase of ["prefill", "decode"] as const) {
  const curves = [curveOf(hybrid, phase), curveOf(softmax, phase)] as const;
  await Deno.writeTextFile(`${flags.out}/${phase}_by_context.svg`, draw(phase, ...curves, hybrid[0]!.ceilings.device));
  processTerminal().write(table(phase, ...curves));
}
