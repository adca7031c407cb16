/** Shows how far long work is, how fast, and how long it still takes: a bar on a terminal, lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import type { Terminal } from "./terminal.ts";

/** Work that takes no longer is done in silence. */
const SILENT_MILLIS = 2000;
/** Between two lines where no bar can be drawn. */
const LINE_MILLIS = 5000;
/** The pace is that of so long: a file that is in memory is read faster than the one that comes after it. */
const PACE_MILLIS = 10_000;

/** Does `work`, which tells the bytes that are done and those in all; `verb` is what it does: `Loading`. */
export async function withProgress<T>(
  terminal: Terminal,
  verb: string,
  work: (onProgress: (doneBytes: number, totalBytes: number) => void) => Promise<T>,
  now: () => number = () => performance.now(),
): Promise<T> {
  const progress = terminal.live ? bar(verb) : lines(terminal, verb, now);
  const started = now();
  const pace = new Pace();
  try {
    return await work((done, total) => {
      const perSecond = pace.at(now(), done);
      if (now() - started > SILENT_MILLIS) progress.show(done, total, perSecond);
    });
  } finally {
    progress.stop();
  }
}

/** Bytes per second of the last while. */
class Pace {
  readonly #heard: { readonly millis: number; readonly done: number }[] = [];

  at(millis: number, done: number): number {
    const heard = this.#heard;
    // What is heard within a hundredth of the while is one point of it.
    if (millis - (heard.at(-1)?.millis ?? -Infinity) >= PACE_MILLIS / 100) heard.push({ millis, done });
    while (heard.length > 2 && millis - heard[0]!.millis > PACE_MILLIS) heard.shift();
    const first = heard[0]!;
    return millis > first.millis ? (done - first.done) / (millis - first.millis) * 1000 : 0;
  }
}

interface Progress {
  show(doneBytes: number, totalBytes: number, bytesPerSecond: number): void;
  stop(): void;
}

function bar(verb: string): Progress {
  const format = `${verb} {bar} {percentage} % of {size}{speed}`;
  const drawn = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, barsize: 30 }, Presets.rect);
  let begun = false;
  return {
    show(done, total, perSecond) {
      if (!begun) drawn.start(total, done, { size: bytes(total), speed: speed(total - done, perSecond) });
      begun = true;
      drawn.update(done, { speed: speed(total - done, perSecond) });
    },
    stop: () => drawn.stop(),
  };
}

function lines(terminal: Terminal, verb: string, now: () => number): Progress {
  let next = -Infinity;
  return {
    show(done, total, perSecond) {
      if (now() < next) return;
      next = now() + LINE_MILLIS;
      const percent = Math.floor(100 * done / total);
      terminal.note(`${verb}: ${percent} % of ${bytes(total)}${speed(total - done, perSecond)}\n`);
    },
    stop: () => {},
  };
}

/** `, 1.9 GB/s, 10 s left`; nothing before there is a pace. */
function speed(leftBytes: number, bytesPerSecond: number): string {
  if (bytesPerSecond === 0) return "";
  const seconds = Math.ceil(leftBytes / bytesPerSecond);
  return `, ${bytes(bytesPerSecond)}/s, ${seconds < 100 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`} left`;
}

/** 26553960 as `26.6 MB`. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
