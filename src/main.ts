#!/usr/bin/env -S deno run -A
/** The command line's entry. */
import { run } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";
import * as ringlet from "./mod.ts";

if (import.meta.main) {
  Deno.exit(await run(Deno.args, { ...ringlet, terminal: processTerminal(), embeddedModel: ringlet.EMBEDDED_MODEL }));
}
