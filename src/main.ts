#!/usr/bin/env -S deno run -A
/** The command line's entry. */
import { run } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";
import { convert, EMBEDDED_MODEL, listDevices, load, measureDevice, modelSize, modelWork, openEngine } from "./mod.ts";

if (import.meta.main) {
  const measuring = { openEngine, measureDevice, modelWork };
  const library = { embeddedModel: EMBEDDED_MODEL, load, convert, listDevices, modelSize, ...measuring };
  Deno.exit(await run(Deno.args, { terminal: processTerminal(), ...library }));
}
