/** `ringlet pool`: who is in a pool and how they do, again each second on a terminal. */
import { Command } from "@commander-js/extra-typings";
import type { Host } from "./host.ts";
import { type NatsFlags, natsFlags } from "./nats_flags.ts";
import { poolName } from "./pool_flags.ts";
import { brokerOf, modelsCommand, pushCommand } from "./pool_models.ts";
import { poolTable } from "./pool_table.ts";
import { Screen } from "./screen.ts";
import { onStopSignals } from "./stop_signals.ts";

const help = `
On a terminal it is drawn again each second, until Ctrl-C; elsewhere, and with --once, it is printed once.
A stage is serving (with the numbers of its routes), idle, refused by a server, or lost: it fell silent in the last minute.
Tokens a second and busy are of the last second; memory is that of weights and linear states; next is where its results go,
by tcp or nats, and how long a small frame takes there and back.

--json prints one object: pool; trouble (why the broker cannot be reached, or null); servers, with running, waiting, routes
and refused; stages, with id, host, layers {start, end} (end is the first that is not among them), device, state, routes,
reason, steps, rows, rowsPerSecond, busy, queue, malformed, hops and bytes; models, with the layers that are missing of each;
unknown, members of other versions.

Examples:
  ringlet pool --nats nats://broker
  ringlet pool --nats tls://broker --pool big --json
  ringlet pool push --nats nats://broker --model /models/Ring-mini-linear-2.0 --name ring-mini`;

export function poolCommand(host: Host) {
  return natsFlags(new Command("pool"))
    .description("watch a pool of stages, or hand out models to it")
    .option("--pool <name>", "which one", poolName, "default")
    .option("--once", "print it once")
    .option("--json", "print one JSON object, once")
    .addHelpText("after", help)
    .action((flags) => watch(host, flags))
    .addCommand(pushCommand(host))
    .addCommand(modelsCommand(host));
}

type Flags = NatsFlags & {
  readonly pool: string;
  readonly once?: true;
  readonly json?: true;
};

async function watch({ terminal, watchPool }: Host, { pool, once, json, ...flags }: Flags): Promise<void> {
  const stopping = new AbortController();
  using _signals = onStopSignals(() => stopping.abort());
  const overviews = watchPool({ nats: brokerOf(flags), pool, signal: stopping.signal });
  if (!once && !json && terminal.size() !== null) return await draw(terminal, overviews);
  for await (const overview of overviews) {
    const text = json ? JSON.stringify(overview, null, 2) : poolTable(overview).join("\n");
    return terminal.write(`${text}\n`);
  }
}

/** The last one stays on the terminal. */
async function draw(terminal: Host["terminal"], overviews: ReturnType<Host["watchPool"]>): Promise<void> {
  let last: string[] = [];
  {
    using screen = new Screen(terminal);
    for await (const overview of overviews) {
      const { columns, rows } = terminal.size() ?? { columns: 80, rows: 24 };
      last = poolTable(overview, columns);
      screen.show(last, rows);
    }
  }
  if (last.length > 0) terminal.write(`${last.join("\n")}\n`);
}
