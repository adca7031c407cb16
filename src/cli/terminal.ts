/** The process's own streams: stdout is output, stderr everything else. */
import { createInterface } from "node:readline";
import process from "node:process";
import colors from "picocolors";

export interface Terminal {
  /** Whether somebody types at stdin and reads stderr. */
  readonly interactive: boolean;
  /** Whether stderr is a terminal, where a line may be drawn again. */
  readonly live: boolean;
  /** Colours for stderr, which do nothing where it has none. */
  readonly paint: Pick<typeof colors, "bold" | "dim" | "red" | "green" | "cyan">;
  /** To stdout. */
  write(text: string): void;
  /** The size in characters of a terminal at stdout; null where it is none. */
  size(): { readonly columns: number; readonly rows: number } | null;
  /** To such a terminal, with characters that steer it. */
  draw(text: string): void;
  /** To stderr. */
  note(text: string): void;
  /** All of stdin, or null where it is a terminal. */
  readAll(): Promise<string | null>;
  /** The lines of a stdin that is no terminal. */
  lines(): AsyncIterable<string>;
}

export function processTerminal(): Terminal {
  const live = Deno.stderr.isTerminal();
  return {
    live,
    interactive: live && Deno.stdin.isTerminal(),
    paint: colors.createColors(live && colors.isColorSupported),
    write: (text) => writeAll(Deno.stdout, Deno.stdout.isTerminal() ? harmless(text) : text),
    size: () => Deno.stdout.isTerminal() ? Deno.consoleSize() : null,
    draw: (text) => writeAll(Deno.stdout, text),
    note: (text) => writeAll(Deno.stderr, text),
    readAll: async () => Deno.stdin.isTerminal() ? null : await new Response(Deno.stdin.readable).text(),
    lines: () => createInterface({ input: process.stdin, terminal: false }),
  };
}

function writeAll(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}

/** A model's text without control characters that could steer a terminal; tabs and line ends stay. */
export function harmless(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what is to go
  return text.replace(/[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]/g, "");
}
