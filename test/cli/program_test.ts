import assert from "node:assert/strict";
import { content, finish } from "../server/scripted_model.ts";
import { ringlet } from "./fake_host.ts";

const commands = ["generate", "chat", "serve", "score", "eval", "bench", "devices"];

Deno.test("--help goes to stdout and exits 0, for the program and each command", async () => {
  const { code, out, err } = await ringlet(["--help"]);
  assert.deepEqual([code, err], [0, ""]);
  for (const command of commands) {
    assert.match(out, new RegExp(`\\n  ${command} `));
    const help = await ringlet([command, "--help"]);
    assert.deepEqual([help.code, help.err], [0, ""]);
    assert.match(help.out, new RegExp(`^Usage: ringlet ${command} `));
    for (const flag of ["--model", "--backend", "--gpu", "--stages", "--layers", "--max-context", "--decay"]) {
      assert.ok(help.out.includes(flag), `${command} ${flag}`);
    }
  }
});

Deno.test("without a command, help goes to stderr and the exit code is 2", async () => {
  const { code, out, err } = await ringlet([]);
  assert.deepEqual([code, out], [2, ""]);
  assert.match(err, /Usage: ringlet/);
});

Deno.test("wrong use exits 2 with one line on stderr that names the fault", async () => {
  const cases: [args: string[], message: RegExp][] = [
    [["generat"], /unknown command 'generat' \(Did you mean generate\?\)/],
    [["generate", "--modle", "x"], /unknown option '--modle' \(Did you mean --model\?\)/],
    [["generate", "a", "b"], /too many arguments/],
    [["generate"], /needs a prompt/],
    [
      ["generate", "--stages", "0", "x"],
      /'--stages <n>' argument '0' is invalid\. It must be a whole number from 1 up/,
    ],
    [["generate", "--stages", "1", "--layers", "0-9", "x"], /cannot be used with/],
    [["generate", "--layers", "9", "x"], /ranges like 0-9,10-19/],
    [["generate", "--temperature", "hot", "x"], /It must be a number from 0 up/],
    [["generate", "--top-p", "2", "x"], /It must be a number from 0 to 1/],
    [["generate", "--backend", "cuda", "x"], /Allowed choices are auto, webgpu, wasm/],
    [["generate", "--gpu", "dawn:1", "x"], /'dawn:1' is invalid\. It must be deno, dawn, wgpu-native, or/],
    [["generate", "--gpu", "wgpu-native:", "x"], /'wgpu-native:' is invalid\. It must be deno, dawn, wgpu-native, or/],
    [["generate", "--gpu", "deno,", "x"], /'deno,' is invalid\. It must be deno, dawn, wgpu-native, or/],
    [["generate", "--quantize", "q5", "x"], /Allowed choices are none, q8, q4/],
    [["generate", "--rope-scaling", "4", "x"], /like yarn:4/],
    [["generate", "--raw", "--system", "s", "x"], /cannot be used with/],
    [["serve", "--port", "65536"], /a whole number from 0 to 65535/],
    [["score"], /needs --file or --tokens/],
    [["score", "--chunks", "0", "--tokens", "1,2"], /row counts/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err, loaded } = await ringlet(args, { script: [content("x"), finish] });
    assert.deepEqual([code, out, loaded.length], [2, "", 0], args.join(" "));
    assert.match(err, message);
    assert.match(err, /^ringlet: [^\n]+\n$/);
  }
});

Deno.test("a model that cannot be loaded exits 1 with one line", async () => {
  const load = () => Promise.reject(new RangeError("Cannot open x\nas a checkpoint"));
  const { code, err } = await ringlet(["generate", "Hi"], { host: { load } });
  assert.deepEqual([code, err], [1, "ringlet: Cannot open x as a checkpoint\n"]);
});

Deno.test("an aborted command exits 130 in silence", async () => {
  const script = [content("a"), () => Promise.reject(new DOMException("Ended", "AbortError"))];
  const { code, out, err } = await ringlet(["generate", "Hi"], { script });
  assert.deepEqual([code, out, err], [130, "a\n", ""]);
});
