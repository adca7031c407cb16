/** What is committed in web/built/ is what its sources give. */
import assert from "node:assert/strict";
import { PAGES, script, styles } from "../../web/build.ts";

// Another Deno has another esbuild, which gives other bytes.
const DENO = "2.9.6";

const built = (name: string) => Deno.readTextFile(new URL(`../../web/built/${name}`, import.meta.url));
const obstacle = Deno.version.deno === DENO ? "" : ` (skipped: this is Deno ${Deno.version.deno}, not ${DENO})`;

for (const page of PAGES) {
  Deno.test({
    name: `web/built/${page}.js is what deno bundle makes of web/${page}.tsx${obstacle}`,
    ignore: obstacle !== "",
    fn: async () => assert.ok(await built(`${page}.js`) === await script(page), "run: deno task web"),
  });
}

Deno.test("web/built/page.css is all of web/style", async () => {
  const sheet = await built("page.css");
  assert.ok(sheet === await styles(), "run: deno task web");
  for (const { name } of Deno.readDirSync(new URL("../../web/style/", import.meta.url))) {
    const text = await Deno.readTextFile(new URL(`../../web/style/${name}`, import.meta.url));
    assert.ok(sheet.includes(text), `${name} is not part of it`);
  }
});
