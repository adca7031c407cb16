import { strict as assert } from "node:assert";
import type { ConvertOptions } from "../../src/mod.ts";
import { ringlet } from "./fake_host.ts";

/** Runs the command with a converter that only listens. */
async function converted(...args: string[]) {
  const asked: ConvertOptions[] = [];
  const convert = (options: ConvertOptions) => {
    asked.push(options);
    return Promise.resolve({ shards: 3, sourceBytes: 32_500_000_000, bytes: 10_300_000_000 });
  };
  return { ...await ringlet(["convert", ...args], { host: { convert } }), asked };
}

Deno.test("convert says what it wrote, as text or as JSON", async () => {
  const { out, err, code, asked } = await converted("--model", "big", "--to", "q4", "--out", "small");
  assert.deepEqual([out, err, code], ["small: 10.3 GB in 3 shards, from 32.5 GB\n", "", 0]);
  const { onProgress, signal, ...options } = asked[0]!;
  assert.deepEqual([typeof onProgress, signal?.aborted], ["function", false]);
  assert.deepEqual(options, { model: "big", to: "q4", out: "small" });
  const json = await converted("--to", "q8", "--out", "small", "--json");
  assert.equal(json.asked[0]!.model, "models/ring-nano");
  assert.deepEqual(JSON.parse(json.out), {
    out: "small",
    shards: 3,
    sourceBytes: 32_500_000_000,
    bytes: 10_300_000_000,
  });
});

Deno.test("convert wants to know into what and where", async () => {
  assert.deepEqual((await converted("--out", "x")).code, 2);
  assert.deepEqual((await converted("--to", "q4")).code, 2);
  const { code, err, asked } = await converted("--to", "q3", "--out", "x");
  assert.deepEqual([code, asked], [2, []]);
  assert.match(err, /Allowed choices are q8, q4/);
});
