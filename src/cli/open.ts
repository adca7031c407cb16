/** Opens the model that a command's flags name, and shows how far it is. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import type { LoadOptions } from "../mod.ts";
import type { Host, Model } from "./host.ts";
import type { Terminal } from "./terminal.ts";

/** A model that loads faster than this loads in silence. */
const SILENT_MILLIS = 2000;
/** Between two lines where no bar can be drawn. */
const LINE_MILLIS = 5000;

export async function openModel(host: Host, options: LoadOptions): Promise<Model> {
  const progress = host.terminal.live ? bar() : lines(host.terminal);
  const started = performance.now();
  try {
    return await host.load({
      ...options,
      onProgress: (loaded, total) => {
        if (performance.now() - started > SILENT_MILLIS) progress.show(loaded, total);
      },
    });
  } finally {
    progress.stop();
  }
}

interface Progress {
  show(loadedBytes: number, totalBytes: number): void;
  stop(): void;
}

function bar(): Progress {
  const format = "Loading {bar} {percentage} % of {size}";
  const drawn = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, barsize: 30 }, Presets.rect);
  let begun = false;
  return {
    show(loaded, total) {
      if (!begun) drawn.start(total, loaded, { size: bytes(total) });
      begun = true;
      drawn.update(loaded);
    },
    stop: () => drawn.stop(),
  };
}

function lines(terminal: Terminal): Progress {
  let next = 0;
  return {
    show(loaded, total) {
      if (performance.now() < next) return;
      next = performance.now() + LINE_MILLIS;
      terminal.note(`Loading: ${Math.floor(100 * loaded / total)} % of ${bytes(total)}\n`);
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
