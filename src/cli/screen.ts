/** Draws lines again and again in place, on a screen of their own, so that what was on the terminal before is there again at the end. */
import type { Terminal } from "./terminal.ts";

/** Another screen, no cursor, and lines that are too long are cut by the terminal; and back. */
const OPEN = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const CLOSE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H", REST_OF_LINE = "\x1b[K", REST_OF_SCREEN = "\x1b[J";

export class Screen implements Disposable {
  readonly #draw: Terminal["draw"];

  constructor(terminal: Pick<Terminal, "draw">) {
    this.#draw = terminal.draw;
    this.#draw(OPEN);
  }

  /** In one go and over what is there, so that nothing flickers. */
  show(lines: readonly string[], rows: number): void {
    const fitting = lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
    this.#draw(HOME + fitting.map((line) => line + REST_OF_LINE).join("\n") + REST_OF_SCREEN);
  }

  [Symbol.dispose](): void {
    this.#draw(CLOSE);
  }
}
