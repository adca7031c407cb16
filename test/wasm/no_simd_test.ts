/** What a processor without vectors is told. */
import { strict as assert } from "node:assert";

/** With these V8 takes the processor for one of before 2008. */
const OLD = "--no-enable-sse4-1,--no-enable-ssse3,--no-enable-avx";

const noFlags = Deno.build.arch === "x86_64" ? "" : " (skipped: the flags are of x86-64)";

Deno.test({
  name: `without SIMD generate says what is missing, and ends${noFlags}`,
  ignore: noFlags !== "",
  fn: async () => {
    const main = new URL("../../src/main.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", `--v8-flags=${OLD}`, main, "generate", "--backend", "wasm", "hi"],
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err!, /^ringlet: Cannot compute in WASM: this processor has none of the SIMD that it needs[^\n]*\n$/);
  },
});
