/** A file of the user's cache that remembers what was measured of each device. Where it cannot be read or written, all is measured again. */
import { dirname, join } from "node:path";
import type { DeviceKey } from "../backend/webgpu/identity.ts";

/** What was measured of some choices, and which of them was taken. */
export interface Measurement<Choice> {
  readonly chosen: Choice;
  /** When, as ISO 8601 has it. */
  readonly measured: string;
  readonly timings: readonly { readonly choice: Choice; readonly millis: number }[];
}

interface Entry {
  readonly kernels: string;
  /** By the question that they answer. */
  readonly choices: Readonly<Record<string, unknown>>;
}

type File = Readonly<Record<string, Entry>>;

/**
 * Where Ringlet leaves what it can make or fetch again: below XDG_CACHE_HOME, or below what each system has; null if the environment does
 * not tell.
 */
export function cacheFolder(
  os: string = Deno.build.os,
  variable: (name: string) => string | undefined = (name) => Deno.env.get(name),
): string | null {
  const below = (folder: string | undefined, ...path: string[]) => folder ? join(folder, ...path) : null;
  const usual = {
    windows: below(variable("LOCALAPPDATA")),
    darwin: below(variable("HOME"), "Library", "Caches"),
  }[os] ?? below(variable("HOME"), ".cache");
  const folder = below(variable("XDG_CACHE_HOME")) ?? usual;
  return folder && join(folder, "ringlet");
}

/** Where measurements are. */
export function cacheFile(os?: string, variable?: (name: string) => string | undefined): string | null {
  const folder = cacheFolder(os, variable);
  return folder && join(folder, "devices.json");
}

/** What is remembered of one question, if it is what `isContent` expects; else null. */
export async function recall<Content>(
  file: string | null,
  { device, kernels }: DeviceKey,
  what: string,
  isContent: (value: unknown) => value is Content,
): Promise<Content | null> {
  const entry = (await read(file))[device];
  if (entry?.kernels !== kernels) return null;
  const found = entry.choices?.[what];
  return isContent(found) ? found : null;
}

/** Tells measurements of a choice from all else that a file may hold. */
export function measurementOf<Choice>(isChoice: (value: unknown) => value is Choice) {
  return (value: unknown): value is Measurement<Choice> => {
    const { measured, timings, chosen } = (value ?? {}) as Partial<Measurement<unknown>>;
    return typeof measured === "string" && Array.isArray(timings) && isChoice(chosen);
  };
}

/** Writes it down beside the rest, under its name only when it is whole. */
export async function remember(
  file: string | null,
  { device, kernels }: DeviceKey,
  what: string,
  content: object,
): Promise<void> {
  if (file === null) return;
  const all = await read(file);
  const known = all[device]?.kernels === kernels ? all[device].choices : {};
  const entry: Entry = { kernels, choices: { ...known, [what]: content } };
  const text = `${JSON.stringify({ ...all, [device]: entry }, null, 2)}\n`;
  const unfinished = `${file}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(unfinished, text);
    await Deno.rename(unfinished, file);
  } catch {
    await Deno.remove(unfinished).catch(() => {}); // measured again next time
  }
}

/** Empty if it is not there, or is not what was written. */
async function read(file: string | null): Promise<File> {
  try {
    const content: unknown = file === null ? {} : JSON.parse(await Deno.readTextFile(file));
    return content !== null && typeof content === "object" && !Array.isArray(content) ? content as File : {};
  } catch {
    return {};
  }
}
