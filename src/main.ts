#!/usr/bin/env -S deno run -A
/** The command line's entry. */
import { run } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";
import { EMBEDDED_MODEL, listDevices, load, modelSize } from "./mod.ts";

if (import.meta.main) {
  Deno.exit(
    await run(Deno.args, { terminal: processTerminal(), embeddedModel: EMBEDDED_MODEL, load, listDevices, modelSize }),
  );
}
