/** The whole command line: its commands, and how their failures become a line and an exit code. */
import { Command, CommanderError } from "@commander-js/extra-typings";
import project from "../../deno.json" with { type: "json" };
import { benchCommand } from "./bench.ts";
import { chatCommand } from "./chat.ts";
import { convertCommand } from "./convert.ts";
import { devicesCommand } from "./devices.ts";
import { evalCommand } from "./eval.ts";
import { generateCommand } from "./generate.ts";
import type { Host } from "./host.ts";
import { isAbort } from "./interrupt.ts";
import { poolCommand } from "./pool.ts";
import { scoreCommand } from "./score.ts";
import { serveCommand } from "./serve.ts";
import { stageCommand } from "./stage.ts";

/** Exit codes: done, failed, wrong use, and ended by Ctrl-C as shells have it. */
const DONE = 0, FAILED = 1, WRONG_USE = 2, INTERRUPTED = 130;

const COMMANDS = [
  ...[generateCommand, chatCommand, serveCommand, stageCommand, poolCommand],
  ...[scoreCommand, evalCommand, convertCommand, benchCommand, devicesCommand],
];

/** @returns the exit code */
export async function run(args: readonly string[], host: Host): Promise<number> {
  try {
    await program(host).parseAsync(args, { from: "user" });
    return DONE;
  } catch (error) {
    return explain(error, host);
  }
}

/** All commands, as `run` parses them. */
export function program(host: Host): Command {
  const program = new Command("ringlet")
    .description("Runs Ring-mini-linear-2.0 and its relatives: hybrid linear attention on WebGPU or WASM.")
    .version(project.version, "--version")
    .enablePositionalOptions() // what stands behind a command's name is that command's
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.terminal.write(text),
      writeErr: (text) => host.terminal.note(text),
      outputError: () => {},
    });
  for (const create of COMMANDS) add(program, create(host) as unknown as Command);
  return program;
}

/** With all that its subcommands must inherit. */
function add(parent: Command, command: Command): void {
  if (command.parent === null) parent.addCommand(command);
  command.copyInheritedSettings(parent);
  for (const sub of command.commands) add(command, sub as Command);
}

function explain(error: unknown, { terminal }: Host): number {
  if (error instanceof CommanderError) {
    if (error.code.startsWith("commander.help") || error.exitCode === 0) return error.exitCode === 0 ? DONE : WRONG_USE;
    complain(error.message.replace("error: ", ""));
    return WRONG_USE;
  }
  if (isAbort(error)) return INTERRUPTED;
  // Whoever read our output has seen enough.
  if (error instanceof Deno.errors.BrokenPipe) return DONE;
  complain(error instanceof Error ? error.message : String(error));
  if (Deno.env.get("DEBUG") === "1" && error instanceof Error) terminal.note(`${error.stack}\n`);
  return FAILED;

  function complain(message: string) {
    terminal.note(`${terminal.paint.red(`ringlet: ${message.replace(/\s*\n\s*/g, " ")}`)}\n`);
  }
}
