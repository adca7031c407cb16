/** The table of who could compute: what was measured of each, and what it lets expect of a model. */
import { isSameGpu, type ProviderReport } from "../mod.ts";
import { digits } from "./bench_figures.ts";

const HEADER = [
  ...["", "round trip ms", "record us", "dispatch us", "GB/s", "GFLOP/s", "in matrices"],
  ...["prompt ms", "token ms", "reply ms", "features"],
];

/** Features as the table has room for them; others are shown by their own names. */
const FEATURES: Readonly<Record<string, string>> = {
  "shader-f16": "f16",
  "chromium-experimental-subgroup-matrix": "matrices",
  "wgpu-shader-int64": "int64",
};

type Row = ProviderReport["rows"][number];

/** A line for each provider, those that are left out below with the reasons, and the choice. */
export function providerTable({ measured, rows, chosen }: ProviderReport, model: string): string[] {
  const cells = [HEADER, ...rows.flatMap(cellsOf)];
  const widths = HEADER.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))
      .join("  ").trimEnd();
  const best = rows.find(({ figures }) => figures?.hardware)?.figures;
  const missing = rows.flatMap(({ computer, figures, error }) => {
    const reason = error ?? (best && !isSameGpu(figures!, best) ? `it computes on ${figures!.device}` : null);
    return reason === null ? [] : [`  ${computer} is left out: ${reason}`];
  });
  return [
    `providers, as measured${best ? ` on ${best.device}` : ""} (${
      measured.slice(0, 10)
    }), and what is predicted of ${model}`,
    ...cells.map((row) => `  ${line(row)}`),
    ...missing,
    `  auto takes ${chosen ? `${chosen.computer}: ${chosen.reason}` : "none: nobody can compute here"}`,
  ];
}

function cellsOf({ computer, figures, prediction }: Row): string[][] {
  if (figures === null || prediction === null) return [];
  const { roundTripMillis, recordMicros, dispatchMicros, bandwidth, flops, matrixFlops, features } = figures;
  const costs = [roundTripMillis, recordMicros, dispatchMicros].map((cost) => cost === 0 ? "-" : digits(cost));
  const rates = [bandwidth, flops, matrixFlops].map((rate) => rate === null ? "-" : digits(rate / 1e9));
  const { promptMillis, tokenMillis, replyMillis } = prediction;
  const names = features.map((name) => FEATURES[name] ?? name).join(" ");
  return [[computer, ...costs, ...rates, ...[promptMillis, tokenMillis, replyMillis].map(digits), names]];
}
