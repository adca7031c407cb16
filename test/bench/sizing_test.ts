/** The arithmetic of sizes and speeds of pools, by hand where it is simple, against the codec, and against what was measured. */
import { strict as assert } from "node:assert";
import {
  busiestMillis,
  decodeRate,
  type Pipeline,
  promptMillis,
  rowBytes,
  tripMillis,
} from "../../bench/sizing/costs.ts";
import { DEVICES } from "../../bench/sizing/devices.ts";
import { memoryBytes, rangesOf, type Sizing, stepMillis } from "../../bench/sizing/stages.ts";
import { loadConfigFile } from "../../src/model/load_config.ts";
import { toStageCodec } from "../../src/wire/codec.ts";

const MINI = await loadConfigFile("bench/ring-mini-linear-2.0.json");
const FLASH = await loadConfigFile("bench/ring-flash-linear-2.0.json");

/** Three stages of 2, 4 and 3 ms, whatever the rows, hops of 0.5 ms and 8 MB/s, rows of 8 KB. */
const SIMPLE: Pipeline = {
  stages: [2, 4, 3].map((millis) => () => millis),
  ...{ hop: { millis: 0.5, bytesPerSecond: 8e6 }, rowBytes: 8000, serverMillis: 1 },
};

Deno.test("a token's trip has the server, all stages, a hop more than there are stages, and its row between stages", () => {
  assert.equal(tripMillis(SIMPLE, 1), 1 + (2 + 4 + 3) + 4 * 0.5 + 2 * 1);
  assert.equal(tripMillis(SIMPLE, 3), 1 + (2 + 4 + 3) + 4 * 0.5 + 2 * 3);
});

Deno.test("streams share the trip until a stage or the line is busy all the time", () => {
  assert.equal(decodeRate(SIMPLE, 1), 1e3 / 14);
  assert.equal(decodeRate(SIMPLE, 2), 2e3 / 14);
  assert.equal(decodeRate(SIMPLE, 3), 3e3 / 14); // the slowest stage is busy for 12 of 14 ms
  assert.equal(busiestMillis(SIMPLE, 8), 8); // the line now
  assert.equal(decodeRate(SIMPLE, 24), 24e3 / Math.max(1 + 9 + 2 + 16, 3 * 8));
});

Deno.test("chunks of a prompt follow each other as fast as the busiest lets them", () => {
  assert.equal(promptMillis(SIMPLE, 2, 2), tripMillis(SIMPLE, 2));
  assert.equal(promptMillis(SIMPLE, 20, 2), tripMillis(SIMPLE, 2) + 9 * 4);
  assert.equal(promptMillis(SIMPLE, 21, 2), tripMillis(SIMPLE, 2) + 10 * 4);
});

Deno.test("a frame takes what rowBytes says, and 32 bytes a sequence besides", () => {
  const rows = 16, hidden = MINI.hidden;
  const room = { slots: rows, snapshots: 0, context: 4096, maxRows: 512, hidden, vocabulary: MINI.vocab };
  const segments = Array.from({ length: rows }, (_, slot) => ({ slot, start: 9, rows: 1 }));
  const step = { id: 7, segments, outputs: Uint32Array.from(segments.keys()), deadline: 30_000 };
  for (const activations of ["f32", "bf16"] as const) {
    const message = { type: "hidden", step, hidden: new Float32Array(rows * hidden) } as const;
    const frame = toStageCodec(room, "hidden", activations).encode(message);
    const more = frame.length - rows * rowBytes(hidden, activations);
    assert.ok(more > 0 && more < 32 * rows, `${activations}: ${more} bytes`);
  }
});

Deno.test("memory of all stages is the model's, with states and pages of each sequence", () => {
  const sizing: Sizing = {
    config: MINI,
    quantize: "none",
    kvCache: "f16",
    stages: 4,
    slots: 32,
    context: 8192,
    chunk: 512,
  };
  const bytes = rangesOf(sizing).map((range) => memoryBytes(sizing, range));
  // docs/MODEL.md g and f: 32.85 GB, 16.8 MB of states a sequence, 8 KiB a position.
  const known = 32.847e9 + 32 * 16_777_216 + 32 * 8192 * 8192;
  const sum = bytes.reduce((sum, bytes) => sum + bytes);
  assert.ok(sum > known && sum < 1.03 * known, `${sum} for ${known}`);
  assert.deepEqual(rangesOf({ ...sizing, config: FLASH, stages: 8 }).at(-1), { start: 28, end: 32 });
});

/**
 * Two H200 of one host, between whose stages messages take 0.065 ms (docs/SPEED.md, "Several stages"): tok/s at 512 positions, and the GPUs'
 * own time of one step, by which H200s are described here.
 */
const MEASURED = [{ streams: 1, rate: 353, gpuMillis: 1.44 }, { streams: 32, rate: 3307, gpuMillis: 13.1 / 2 }, {
  streams: 64,
  rate: 5193,
  gpuMillis: 17.6 / 2,
}];

for (const { streams, rate, gpuMillis } of MEASURED) {
  Deno.test(`two GPUs with ${streams} streams are predicted to within a tenth of what they did`, () => {
    const { overheadMillis, rowOverheadMillis } = DEVICES.h100!.none!;
    const stage = (rows: number) => gpuMillis / 2 + overheadMillis + (rows - 1) * rowOverheadMillis;
    const hop = { millis: 0.065, bytesPerSecond: Infinity };
    const predicted = decodeRate({ stages: [stage, stage], hop, rowBytes: 8192, serverMillis: 0 }, streams);
    assert.ok(Math.abs(predicted / rate - 1) < 0.1, `${predicted} for ${rate}`);
  });
}

Deno.test("the whole model's steps on an H100 take what they were measured to take, without what a stage takes besides", () => {
  const sizing: Sizing = {
    config: MINI,
    quantize: "none",
    kvCache: "f32",
    stages: 1,
    slots: 32,
    context: 1024,
    chunk: 2048,
  };
  const device = { ...DEVICES.h100!.none!, overheadMillis: 0, rowOverheadMillis: 0 };
  const [all] = rangesOf(sizing);
  for (const [rows, millis] of [[1, 1.67], [32, 10.6]] as const) {
    const predicted = stepMillis(sizing, all!, device, 512)(rows);
    assert.ok(Math.abs(predicted / millis - 1) < 0.05, `${rows} rows: ${predicted} for ${millis}`);
  }
});

/** Arguments of bench/sizing.ts whose lines docs/DEPLOY.md has. */
const SHOWN = [
  ["--stages", "2,4"],
  ["--config", "bench/ring-flash-linear-2.0.json", "--stages", "4,8"],
  ["--config", "bench/ring-flash-linear-2.0.json", "--stages", "2,4,8", "--quantize", "q4"],
  ["--device", "cpu", "--quantize", "q4", "--stages", "2,4"],
];

Deno.test("docs/DEPLOY.md has the figures that the arithmetic gives", async () => {
  const rows = (text: string) =>
    text.split("\n").filter((line) => /^\|.*\d/.test(line)).map((line) =>
      line.split("|").map((cell) => cell.trim().replaceAll(",", "")).filter((cell) => cell !== "")
    );
  const page = rows(await Deno.readTextFile("docs/DEPLOY.md"));
  for (const args of SHOWN) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "bench/sizing.ts", ...args],
    }).output();
    const told = rows(new TextDecoder().decode(stdout)).filter(([stages]) => /^\d+$/.test(stages!));
    assert.ok(told.length >= 2);
    for (const [stages, , gigabytes, ...rates] of told) {
      assert.ok(page.some((row) => row.slice(-6).join() === [stages, ...rates].join()), `${args} ${stages}: ${rates}`);
      // A CPU takes less for a step: its chunks are shorter.
      const isListed = page.some((row) => row.at(-3) === stages && row.at(-1) === gigabytes);
      assert.ok(isListed || args.includes("cpu"), `${args} ${stages}: ${gigabytes} GB`);
    }
  }
});
