/** A command of Ringlet's on a host, started again whenever it ends, as a supervisor does. */
import { fileURLToPath } from "node:url";
import type { Host } from "./hosts.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** As systemd's RestartSec. */
const RESTART_MILLIS = 500;

export class Service implements AsyncDisposable {
  readonly host: Host;
  /** How it ended each time, by itself or not: an exit code or a signal. */
  readonly ends: string[] = [];
  readonly #args: readonly string[];
  readonly #running: Promise<void>;
  #process: Deno.ChildProcess | null = null;
  #said = "";
  #begun = 0; // where of it the life before has ended
  #stopped = false;
  /** While it is set, nobody starts it again. */
  #down: PromiseWithResolvers<void> | null = null;

  private constructor(host: Host, args: readonly string[]) {
    this.host = host;
    this.#args = args;
    this.#running = this.#supervise();
  }

  static start(host: Host, args: readonly string[]): Service {
    return new Service(host, args);
  }

  /** What it has written to stderr, in all its lives. */
  get said(): string {
    return this.#said;
  }

  /** SIGKILL ends it as a crash does, SIGSTOP freezes it and SIGCONT lets it go on. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    try {
      this.#process?.kill(signal);
    } catch { /* it has ended */ }
  }

  /** Kills it, and does not start it until it is brought up. */
  takeDown(): void {
    this.#down ??= Promise.withResolvers();
    this.signal("SIGKILL");
  }

  bringUp(): void {
    this.#down?.resolve();
    this.#down = null;
  }

  /** Waits until it has said something that matches, in this life or in the next; it may not end a second time before. */
  async until(pattern: RegExp, life: "this" | "next" = "this", millis = 60_000): Promise<RegExpExecArray> {
    const lives = this.ends.length + (life === "next" ? 1 : 0);
    for (let waited = 0; waited < millis && this.ends.length <= lives; waited += 50) {
      const found = this.ends.length === lives ? pattern.exec(this.#said.slice(this.#begun)) : null;
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${this.host.name} did not say ${pattern} in time, but: ${this.#said.slice(-2000)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.signal("SIGKILL");
    this.bringUp();
    await this.#running;
  }

  async #supervise(): Promise<void> {
    while (!this.#stopped) {
      const [program, ...args] = [...this.host.within, Deno.execPath(), "run", "-A", "--no-check", MAIN, ...this.#args];
      const options = { args, stdin: "null", stdout: "null", stderr: "piped" } as const;
      this.#process = new Deno.Command(program!, { ...options, env: { NO_COLOR: "1" } }).spawn();
      const decoder = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
      for await (const text of this.#process.stderr.pipeThrough(decoder)) this.#said += text;
      const { code, signal } = await this.#process.status;
      this.#begun = this.#said.length;
      this.ends.push(signal ?? `code ${code}`);
      if (!this.#stopped) await (this.#down?.promise ?? new Promise((resolve) => setTimeout(resolve, RESTART_MILLIS)));
    }
  }
}
