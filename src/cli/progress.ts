/** Shows how far long work is: a bar on a terminal, lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import type { Terminal } from "./terminal.ts";

/** Work that takes no longer is done in silence. */
const SILENT_MILLIS = 2000;
/** Between two lines where no bar can be drawn. */
const LINE_MILLIS = 5000;

/** Does `work`, which tells the bytes that are done and those in all; `verb` is what it does: `Loading`. */
export async function withProgress<T>(
  terminal: Terminal,
  verb: string,
  work: (onProgress: (doneBytes: number, totalBytes: number) => void) => Promise<T>,
): Promise<T> {
  const progress = terminal.live ? bar(verb) : lines(terminal, verb);
  const started = performance.now();
  try {
    return await work((done, total) => {
      if (performance.now() - started > SILENT_MILLIS) progress.show(done, total);
    });
  } finally {
    progress.stop();
  }
}

interface Progress {
  show(doneBytes: number, totalBytes: number): void;
  stop(): void;
}

function bar(verb: string): Progress {
  const format = `${verb} {bar} {percentage} % of {size}, {eta_formatted} left`;
  const drawn = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, barsize: 30 }, Presets.rect);
  let begun = false;
  return {
    show(done, total) {
      if (!begun) drawn.start(total, done, { size: bytes(total) });
      begun = true;
      drawn.update(done);
    },
    stop: () => drawn.stop(),
  };
}

function lines(terminal: Terminal, verb: string): Progress {
  let next = 0;
  return {
    show(done, total) {
      if (performance.now() < next) return;
      next = performance.now() + LINE_MILLIS;
      terminal.note(`${verb}: ${Math.floor(100 * done / total)} % of ${bytes(total)}\n`);
    },
    stop: () => {},
  };
}

/** 26553960 as `26.6 MB`. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
