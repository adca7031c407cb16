/** The questions of a chat: lines of a pipe, or typed with editing and history. */
import { createInterface } from "node:readline";
import process from "node:process";

/** Lines of one paste arrive together; anything that comes later was typed. */
const PASTE_MILLIS = 20;

/** Asks again and again. Ctrl-D ends it, and so does a second Ctrl-C on an empty line: the first may have come too late for an answer. */
export async function* typedQuestions(prompt: string): AsyncGenerator<string> {
  const history: string[] = [];
  for (let question = await ask(prompt, history); question !== null; question = await ask(prompt, history)) {
    if (question.trim() === "") continue;
    history.unshift(...question.split("\n").toReversed());
    yield question;
  }
}

/**
 * One question; a pasted text of several lines is one. Each has a reader of its own, so that between questions the
 * terminal is as usual: Ctrl-C interrupts, and what is typed ahead waits for the next question.
 */
function ask(prompt: string, history: readonly string[]): Promise<string | null> {
  const reader = createInterface({ input: process.stdin, output: process.stderr, prompt, history: [...history] });
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const lines: string[] = [];
  let pause: ReturnType<typeof setTimeout> | undefined;
  let warned = false;
  reader.on("line", (line) => {
    lines.push(line);
    clearTimeout(pause);
    pause = setTimeout(() => reader.close(), PASTE_MILLIS);
  });
  reader.on("SIGINT", () => {
    if (reader.line === "" && lines.length === 0) {
      if (warned) return reader.close();
      warned = true;
      process.stderr.write("\n(Ctrl-C again, or Ctrl-D, leaves)\n");
      return reader.prompt();
    }
    lines.length = 0;
    // Ctrl-E and Ctrl-U: to the end of the line, and all before it out.
    reader.write(null, { ctrl: true, name: "e" });
    reader.write(null, { ctrl: true, name: "u" });
  });
  reader.on("close", () => resolve(lines.length > 0 ? lines.join("\n") : null));
  reader.prompt();
  return promise;
}
