/** What was measured of all that could compute on this computer: at most once, and from then on from memory. */
import { installedDrivers, installedProviders } from "../backend/webgpu/installed.ts";
import { type DeviceKey, kernelsHash } from "../backend/webgpu/identity.ts";
import type { Computer, Figures } from "./probe.ts";
import { isFigures, probeApart } from "./probe_process.ts";
import { recall, remember } from "./remembered.ts";

export type { Computer, Figures } from "./probe.ts";

/** Figures, or why there are none. */
export interface ProviderRow {
  readonly computer: Computer;
  readonly figures: Figures | null;
  readonly error: string | null;
}

export interface ProviderTable {
  /** When, as ISO 8601 has it. */
  readonly measured: string;
  /** The built-in provider first; `wasm` last, where no GPU is more than the CPU. */
  readonly rows: readonly ProviderRow[];
}

/** What a table is good for: another library, driver or program, and it is measured anew. */
async function keyOf(version: string): Promise<DeviceKey> {
  const libraries = installedProviders().map(({ provider, library }) => library ?? `no ${provider}`);
  const all = [`Ringlet ${version}`, `kernels ${await kernelsHash()}`, ...libraries, installedDrivers()];
  return { device: "providers", kernels: all.join(", ") };
}

const WHAT = "figures";

/** What Ringlet of that version has measured here; null if nothing, or with other libraries or drivers. */
export async function recallProviders(file: string | null, version: string): Promise<ProviderTable | null> {
  return await recall(file, await keyOf(version), WHAT, isTable);
}

/** How to measure. */
export interface ProviderMeasurement {
  /** Where the table is remembered, if not null. */
  readonly file: string | null;
  readonly version: string;
  /** Of WASM. */
  readonly threads: number;
  /** Hears of whom a measurement begins. */
  readonly onMeasure: (computer: Computer) => void;
  /** Ends it; then it rejects with the signal's reason, and nothing is remembered. */
  readonly signal?: AbortSignal | undefined;
  /** How one of them is measured; in a process by itself if left out. */
  readonly probe?: typeof probeApart;
}

/** Measures one after the other, each for about a second. Whoever fails is left out, with the reason. */
export async function measureProviders(
  { file, version, threads, onMeasure, signal, probe = probeApart }: ProviderMeasurement,
): Promise<ProviderTable> {
  const rows: ProviderRow[] = [];
  for (const { provider, missing } of installedProviders()) {
    rows.push(missing === null ? await row(provider) : { computer: provider, figures: null, error: missing });
  }
  if (!rows.some(({ figures }) => figures?.hardware)) rows.push(await row("wasm"));
  const table = { measured: new Date().toISOString(), rows };
  if (rows.some(({ figures }) => figures !== null)) await remember(file, await keyOf(version), WHAT, table);
  return table;

  async function row(computer: Computer): Promise<ProviderRow> {
    onMeasure(computer);
    try {
      return { computer, figures: await probe(computer, threads, { signal }), error: null };
    } catch (error) {
      signal?.throwIfAborted();
      return { computer, figures: null, error: error instanceof Error ? error.message : String(error) };
    }
  }
}

function isTable(value: unknown): value is ProviderTable {
  const { measured, rows } = (value ?? {}) as Partial<ProviderTable>;
  return typeof measured === "string" && Array.isArray(rows) && rows.every(isRow);
}

const COMPUTERS: readonly string[] = ["deno", "wgpu-native", "dawn", "wasm"] satisfies Computer[];

function isRow(value: unknown): value is ProviderRow {
  const { computer, figures, error } = (value ?? {}) as Partial<ProviderRow>;
  if (!COMPUTERS.includes(computer!)) return false;
  return figures === null ? typeof error === "string" : error === null && isFigures(figures);
}
