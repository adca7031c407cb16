/**
 * What a GPU provider costs the host, all that are there in turns: `deno run -A bench/providers_bench.ts [--rounds N]`. A round trip is
 * one dispatch and 4 bytes read back; recording is of a decode step's worth of dispatches of one kernel.
 */
import { parseArgs } from "node:util";
import { Device } from "../src/backend/webgpu/device.ts";
import { DISPATCHES, HostClock, type HostCosts } from "../src/backend/webgpu/host_costs.ts";
import { digits, median } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import type { GpuProvider } from "../src/mod.ts";

/** Of each kind, in a round. */
const TIMES = 50;

const { values: { rounds } } = parseArgs({ options: { rounds: { type: "string", default: "20" } } });

const terminal = processTerminal();
const PROVIDERS: readonly GpuProvider[] = ["deno", "wgpu-native", "dawn"];
const clocks = new Map<GpuProvider, HostClock>();
for (const gpu of PROVIDERS) {
  await Device.open({ gpu }).then(HostClock.open).then(
    (clock) => clocks.set(gpu, clock),
    ({ message }) => terminal.note(`${gpu}: ${message}\n`),
  );
}
const all = new Map([...clocks.keys()].map((gpu) => [gpu, [] as HostCosts[]]));
for (let round = 0; round <= Number(rounds); round++) {
  for (const [gpu, clock] of clocks) {
    const costs = await clock.round(TIMES);
    if (round > 0) all.get(gpu)!.push(costs); // the first one compiles
  }
}
terminal.write(
  `provider     round trip ms  record us  with finish us  submit us   (us a dispatch; a submission of ${DISPATCHES})\n`,
);
for (const [gpu, costs] of all) {
  const of = (what: keyof HostCosts) => digits(median(costs.map((each) => each[what])));
  const columns = [of("roundTrip").padStart(13), of("recorded").padStart(10), of("finished").padStart(15)];
  terminal.write(`${gpu.padEnd(12)} ${columns.join(" ")} ${of("submitted").padStart(10)}\n`);
}
