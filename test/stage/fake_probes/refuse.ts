/** A probe that says why it cannot measure. */
await Deno.stderr.write(new TextEncoder().encode("a driver's complaint\n\nCannot open a GPU: there is none\n"));
Deno.exit(1);
