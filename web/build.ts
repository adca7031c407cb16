/** Builds the pages: the modules of each become one script, the styles one sheet, all in built/. */
import { fileURLToPath } from "node:url";

/** Each the entry of a page. */
export const PAGES = ["page", "docs"] as const;

const STYLES = [
  "colours",
  "base",
  "controls",
  "layout",
  "sidebar",
  "messages",
  "markdown",
  "composer",
  "settings",
  "docs",
];

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** The script of a page, minified. Bundled by esbuild in the version that this Deno has, so that the same sources give the same bytes. */
export async function script(page: string): Promise<string> {
  const args = [
    "bundle",
    "--quiet",
    "--platform",
    "browser",
    "--minify",
    "--config",
    path("../deno.json"),
    path(`${page}.tsx`),
  ];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`deno bundle failed on web/${page}.tsx:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

export async function styles(): Promise<string> {
  const sheets = STYLES.map((name) => Deno.readTextFile(new URL(`style/${name}.css`, import.meta.url)));
  return (await Promise.all(sheets)).join("\n");
}

if (import.meta.main) {
  await Deno.mkdir(path("built"), { recursive: true });
  for (const page of PAGES) await Deno.writeTextFile(path(`built/${page}.js`), await script(page));
  await Deno.writeTextFile(path("built/page.css"), await styles());
}
