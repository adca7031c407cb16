/** A process by itself that measures one provider, `deno run -A workers/probe.ts NAME THREADS`: a driver that fails takes no other with it. */
import { type Computer, probe } from "../src/stage/probe.ts";

const [computer, threads] = Deno.args as [Computer, string];
try {
  const figures = await probe(computer, Number(threads));
  await Deno.stdout.write(new TextEncoder().encode(`\n${JSON.stringify(figures)}\n`));
} catch (error) {
  await Deno.stderr.write(new TextEncoder().encode(`\n${error instanceof Error ? error.message : String(error)}\n`));
  Deno.exit(1);
}
Deno.exit(0); // without what drivers do at the end
