import assert from "node:assert/strict";
import { LogitsFile } from "../../src/cli/logits_file.ts";
import { ringlet } from "./fake_host.ts";

async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("score prints token count, log-probability, nats per token and perplexity", async () => {
  const { code, out } = await ringlet(["score", "--tokens", "1,2,3"]);
  assert.equal(code, 0);
  assert.match(out, /tokens +3\n/);
  assert.match(out, /log-probability -1\.3863 of the 2/);
  assert.match(out, /nats per token +0\.6931/);
  assert.match(out, /perplexity +2\.00000/);
});

Deno.test("score --json has each token's log-probability, null for the first", async () => {
  const { out, model } = await ringlet(["score", "--json", "--tokens", "1,2,3", "--chunks", "5,64,1"]);
  const half = Math.log(0.5);
  assert.deepEqual(JSON.parse(out), {
    tokens: 3,
    logprob: 2 * half,
    nats_per_token: -half,
    perplexity: Math.exp(-half),
    logprobs: [null, half, half],
  });
  assert.deepEqual(model.chunks, [5, 64, 1]);
});

Deno.test("score reads text and JSON files", async () => {
  await inTemporaryDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/text`, "abcd");
    await Deno.writeTextFile(`${directory}/tokens.json`, "[3, 2, 1, 0, 3]");
    assert.match((await ringlet(["score", "--file", `${directory}/text`])).out, /tokens +4\n/);
    assert.match((await ringlet(["score", "--tokens", `@${directory}/tokens.json`])).out, /tokens +5\n/);
  });
});

Deno.test("score --logits writes values that read back as the same f32", async () => {
  await inTemporaryDirectory(async (directory) => {
    const path = `${directory}/out.json`;
    const { code } = await ringlet(["score", "--tokens", "1,2,3", "--logits", path]);
    assert.equal(code, 0);
    const { tokens, logits } = JSON.parse(await Deno.readTextFile(path));
    assert.deepEqual(tokens, [1, 2, 3]);
    const rows = logits.map((row: number[]) => [...Float32Array.from(row)]);
    assert.deepEqual(rows, [1, 2, 3].map((t) => [...Float32Array.of(t, 0.1, -1, 1e-7)]));
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["out.json"]);
  });
});

Deno.test("LogitsFile leaves nothing behind when a logit is not finite", async () => {
  await inTemporaryDirectory(async (directory) => {
    await assert.rejects(async () => {
      await using file = await LogitsFile.create(`${directory}/out.json`, Uint32Array.of(1, 2));
      file.append(Float32Array.of(0, 1), 1);
      file.append(Float32Array.of(0, NaN), 1);
    }, /logits of position 1: that of token 1 is NaN/);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("score refuses what it cannot score with one line", async () => {
  for (
    const [args, message] of [
      [["--tokens", "1,x"], /Cannot read 1,x as token ids/],
      [["--tokens", "1,-2"], /Cannot read/],
      [["--tokens", "7"], /Cannot score 1 tokens: two are needed/],
      [["--file", "/nowhere"], /^ringlet: Cannot read \/nowhere: there is no such file\n$/],
    ] as const
  ) {
    const { code, err } = await ringlet(["score", ...args]);
    assert.equal(code, 1);
    assert.match(err, message);
  }
});
