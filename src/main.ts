#!/usr/bin/env -S deno run -A
/** The command line's entry. */
import { run } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";
import { convert, EMBEDDED_MODEL, listDevices, load, modelSize } from "./mod.ts";

if (import.meta.main) {
  const library = { embeddedModel: EMBEDDED_MODEL, load, convert, listDevices, modelSize };
  Deno.exit(await run(Deno.args, { terminal: processTerminal(), ...library }));
}
