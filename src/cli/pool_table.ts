/** A pool as lines of text: its servers, routes and stages, and what is wrong. */
import type { PoolOverview } from "../mod.ts";
import { bytes } from "./progress.ts";
import { harmless } from "./terminal.ts";

/** The last of an id, by which it is told from others; `--json` has all. */
const ID_CHARACTERS = 8;
const NAME_CHARACTERS = 24;

type Stage = PoolOverview["stages"][number];

const STAGE_HEADER = [
  ...["stage", "host", "layers", "state", "tokens/s", "busy", "queue", "malformed", "memory", "next", "device"],
];
/** Columns of figures, which stand at the right. */
const STAGE_FIGURES = new Set(["tokens/s", "busy", "queue", "malformed", "memory"]);

/** @param width Characters of a line at most. */
export function poolTable(overview: PoolOverview, width = Infinity): string[] {
  const { servers, stages, unknown } = overview;
  const routes = servers.flatMap((server) =>
    server.routes.map((route) => ({ ...route, server: short(server.session) }))
  );
  const sections = [
    [headline(overview), ...troubles(overview)],
    table(
      ["server", "host", "running", "waiting"],
      servers.map(({ session, host, running, waiting }) => [short(session), name(host), `${running}`, `${waiting}`]),
      new Set(["running", "waiting"]),
    ),
    table(
      ["route", "server", "sequences", "stages"],
      routes.map(({ route, server, sequences, stages }) => [
        `${route}`,
        server,
        `${sequences}`,
        stages.map(short).join(" > "),
      ]),
      new Set(["sequences"]),
    ),
    table(STAGE_HEADER, stages.map(stageCells), STAGE_FIGURES),
    [
      ...stages.flatMap(({ id, reason }) => reason === null ? [] : [`${short(id)} is refused: ${reason}`]),
      ...unknown.map(({ id, reason }) => `${short(id)} is not understood: ${reason}`),
    ],
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, i) => i === 0 ? lines : ["", ...lines])
    .map((line) => cut(harmless(line), width));
}

function headline({ pool, servers, stages }: PoolOverview): string {
  const [running, waiting] = (["running", "waiting"] as const).map((what) =>
    servers.reduce((sum, server) => sum + server[what], 0)
  );
  const there = stages.filter(({ state }) => state !== "lost").length;
  if (there + servers.length === 0) return `pool ${pool}: nobody is in it`;
  return `pool ${pool}: ${count(there, "stage")}, ${count(servers.length, "server")}, ` +
    `${count(running!, "sequence")} running, ${waiting} waiting`;
}

function troubles({ trouble, models }: PoolOverview): string[] {
  const of = (hash: string) => models.length > 1 ? ` of model ${short(hash)}` : "";
  return [
    ...trouble === null ? [] : [trouble],
    ...models.flatMap(({ hash, layers, missing }) => {
      if (layers === null) return [`nobody has any layer${of(hash) || " of the model"}`];
      if (missing.length === 0) return [];
      const ranges = missing.map(layerNames).join(", ");
      const subject = /[,-]/.test(ranges) ? `layers ${ranges}${of(hash)} are` : `layer ${ranges}${of(hash)} is`;
      return [`${subject} missing, without which nothing is answered`];
    }),
  ];
}

function stageCells(stage: Stage): string[] {
  const { state, routes, rowsPerSecond, busy, queue, malformed, weightBytes, stateBytes } = stage;
  const now = state === "lost"
    ? ["-", "-", "-"]
    : [Math.round(rowsPerSecond).toLocaleString("en"), `${Math.round(100 * busy)} %`, `${queue}`];
  return [
    ...[short(stage.id), name(stage.host), layerNames(stage.layers)],
    ...[routes.length > 0 ? `${state} ${routes.join(",")}` : state, ...now, `${malformed}`],
    ...[bytes(weightBytes + stateBytes), state === "lost" ? "-" : hops(stage) || "-", name(stage.device)],
  ];
}

/** Of several routes to the same neighbour the slowest. */
function hops({ hops }: Stage): string {
  const ways = Map.groupBy(hops, ({ to, transport }) => `${short(to)} ${transport}`);
  return ways.entries().map(([way, hops]) => {
    const measured = hops.flatMap(({ roundTripMillis }) => roundTripMillis ?? []);
    return measured.length === 0 ? way : `${way} ${Math.max(...measured).toFixed(2)} ms`;
  }).toArray().join(", ");
}

/** Lines of columns that are as wide as they must be; none where there are no rows. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  figures: ReadonlySet<string> = new Set(),
): string[] {
  if (rows.length === 0) return [];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [header, ...rows].map((row) =>
    row.map((cell, i) => figures.has(header[i]!) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))
      .join("  ").trimEnd()
  );
}

const short = (id: string) => id.slice(-ID_CHARACTERS);
const name = (text: string) => cut(text, NAME_CHARACTERS);
const count = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** As on the command line, `10-19`. */
function layerNames({ start, end }: Stage["layers"]): string {
  return end - start === 1 ? `${start}` : `${start}-${end - 1}`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
