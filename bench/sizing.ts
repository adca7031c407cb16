/**
 * What a pool needs and does, as docs/DEPLOY.md has it: `deno run -A bench/sizing.ts [--config FILE] [--quantize none|q8|q4] [--device h100|cpu]
 * [--stages 2,4] [--streams 32] [--context 8192] [--hop-millis 0.15] [--gigabits 1.6] [--activations f32|bf16]`. Arithmetic
 * (bench/sizing) on figures that were measured of one device; nothing is measured here.
 */
import { parseArgs } from "node:util";
import { digits } from "../src/cli/bench_figures.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { loadConfigFile } from "../src/model/load_config.ts";
import type { Quantize } from "../src/pipeline/messages.ts";
import type { Activations } from "../src/wire/room.ts";
import { decodeRate, type Pipeline, promptMillis, rowBytes } from "./sizing/costs.ts";
import { DEVICES } from "./sizing/devices.ts";
import { memoryBytes, rangesOf, type Sizing, stepMillis } from "./sizing/stages.ts";

const { values: flags } = parseArgs({
  options: {
    config: { type: "string", default: "bench/ring-mini-linear-2.0.json" },
    quantize: { type: "string", default: "none" },
    device: { type: "string", default: "h100" },
    stages: { type: "string", default: "2,4" },
    streams: { type: "string", default: "32" },
    context: { type: "string", default: "8192" },
    "hop-millis": { type: "string", default: "0.15" },
    gigabits: { type: "string", default: "1.6" },
    activations: { type: "string", default: "f32" },
  },
});

/** Milliseconds between a step's results and the next step, in the server. */
const SERVER_MILLIS = 0.2;
const PROMPT = 16_384;

const config = await loadConfigFile(flags.config);
const device = DEVICES[flags.device]?.[flags.quantize === "q4" ? "q4" : "none"];
if (!device) throw new RangeError(`Cannot size for --device ${flags.device}: nothing was measured of it`);
const streams = Number(flags.streams);
const hop = { millis: Number(flags["hop-millis"]), bytesPerSecond: Number(flags.gigabits) * 1e9 / 8 };
const bytes = rowBytes(config.hidden, flags.activations as Activations);

function line(stages: number): string[] {
  const sizing: Sizing = {
    ...{ config, stages, quantize: flags.quantize as Quantize, kvCache: "f16", chunk: device!.chunk },
    ...{ slots: streams, context: Number(flags.context) },
  };
  const ranges = rangesOf(sizing);
  const pipelineOf = (cached: number | "prompt"): Pipeline => ({
    stages: ranges.map((range) => stepMillis(sizing, range, device!, cached)),
    ...{ hop, rowBytes: bytes, serverMillis: SERVER_MILLIS },
  });
  const decode = pipelineOf(512);
  const prompt = 1e3 * PROMPT / promptMillis(pipelineOf("prompt"), PROMPT, sizing.chunk);
  const gigabytes = Math.max(...ranges.map((range) => memoryBytes(sizing, range))) / 1e9;
  const all = decodeRate(decode, streams);
  const layers = ranges.map(({ start, end }) => `${start}-${end - 1}`).join(", ");
  const megabits = (rate: number) => stages === 1 ? "" : digits(rate * bytes * 8 / 1e6);
  return [
    `${stages}`,
    layers,
    digits(gigabytes),
    digits(decodeRate(decode, 1)),
    digits(all),
    digits(prompt),
    megabits(all),
    megabits(prompt),
  ];
}

const table = [
  [
    "stages",
    "layers",
    "GB each",
    "1 stream",
    `${streams} streams`,
    `prompt of ${PROMPT}`,
    "Mbit/s, decoding",
    "Mbit/s, prompt",
  ],
  ...flags.stages.split(",").map((stages) => line(Number(stages))),
];
const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
const rows = table.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |\n`);
const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |\n`;
processTerminal().write(
  `${flags.config}, weights ${flags.quantize}, ${device.name}, a hop ${hop.millis} ms and ${flags.gigabits} Gbit/s, ` +
    `a token's row ${bytes} bytes; tokens a second\n\n${rows[0]}${rule}${rows.slice(1).join("")}`,
);
