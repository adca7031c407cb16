/** What is committed in wasm/ is what its sources give: the modules, their bindings and the Unicode tables. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { compile, generate, generateCalls, MODULES, RELAXED } from "../../wasm/build.ts";
import { unicodeTables } from "../../wasm/unicode_tables.ts";

// Another compiler gives other bytes.
const EMSCRIPTEN = "3.1.6";

const file = (name: string) => new URL(`../../wasm/${name}`, import.meta.url);

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}

/** Why modules cannot be rebuilt here; empty if they can. */
async function obstacle(): Promise<string> {
  try {
    const { stdout } = await new Deno.Command("emcc", { args: ["--version"] }).output();
    const version = /\d+\.\d+\.\d+/.exec(new TextDecoder().decode(stdout))?.[0];
    return version === EMSCRIPTEN ? "" : `emcc is ${version}, not ${EMSCRIPTEN}`;
  } catch {
    return "emcc is not installed";
  }
}

const skipped = (reason: string) => reason === "" ? "" : ` (skipped: ${reason})`;
const noRebuild = await obstacle();
const unicode = /Unicode ([\d.]+)/.exec(await Deno.readTextFile(file("tokenizer_unicode.h")))?.[1];
const noTables = unicode === process.versions.unicode ? "" : `Unicode here is ${process.versions.unicode}`;

for (const name of MODULES) {
  if (!await exists(file(`${name}.c`))) continue;

  Deno.test(`${name}.ts is what build.ts generates from ${name}.h`, async () => {
    assert.equal(await Deno.readTextFile(file(`${name}.ts`)), (await generate(name)).source);
    for (const [calls, text] of Object.entries(await generateCalls(name))) {
      assert.equal(await Deno.readTextFile(file(calls)), text);
    }
  });

  for (const relaxed of RELAXED.includes(name) ? [false, true] : [false]) {
    const built = relaxed ? `${name}_relaxed` : name;
    Deno.test({
      name: `${built}.wasm is what emcc makes of ${name}.c${skipped(noRebuild)}`,
      ignore: noRebuild !== "",
      fn: async () => {
        const folder = await Deno.makeTempDir();
        const out = `${folder}/${built}.wasm`;
        await compile(name, (await generate(name)).exports, out, relaxed);
        const [committed, rebuilt] = [await Deno.readFile(file(`${built}.wasm`)), await Deno.readFile(out)];
        await Deno.remove(folder, { recursive: true });
        assert.ok(committed.length > 0);
        assert.equal(Buffer.compare(committed, rebuilt), 0, `${committed.length} bytes, ${rebuilt.length} rebuilt`);
      },
    });
  }
}

Deno.test({
  name: `tokenizer_unicode.h is what unicode_tables.ts writes${skipped(noTables)}`,
  ignore: noTables !== "",
  fn: async () => assert.equal(await Deno.readTextFile(file("tokenizer_unicode.h")), unicodeTables()),
});
