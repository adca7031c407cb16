/** What loading takes of the computer's memory, in a process of its own: it must not grow with the checkpoint. */
import { strict as assert } from "node:assert";

const GIB = 2 ** 30;
const missing = Deno.build.os === "linux" ? null : "only Linux tells a process's highest memory";

/** The highest above the start while a checkpoint of so many GiB is loaded onto no device. */
async function peak(gib: number, quantize: string): Promise<number> {
  const script = new URL("../../bench/loading.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", script, "--json", "--gib", String(gib), "--quantize", quantize],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { bytes, aboveStartBytes } = JSON.parse(new TextDecoder().decode(stdout));
  assert.ok(bytes > 0.85 * gib * GIB, `the checkpoint has ${bytes} bytes`);
  return aboveStartBytes;
}

for (const [quantize, gib] of [["none", 0.5], ["q4", 1]] as const) {
  const skipped = missing === null ? "" : ` (skipped: ${missing})`;
  Deno.test({
    name: `loading ${gib} GiB with --quantize ${quantize} takes less than a quarter of it besides${skipped}`,
    ignore: missing !== null,
    fn: async () => {
      const above = await peak(gib, quantize);
      assert.ok(above > 0 && above < gib * GIB / 4, `${above} bytes above the start`);
    },
  });
}
