/** Builds every C module of this folder: NAME.c and NAME.h become NAME.wasm and NAME.ts, its typed bindings. */
import { fileURLToPath } from "node:url";
import { bindings } from "./bindings.ts";

export const MODULES = ["kernels", "tokenizer", "sampler"] as const;

const FLAGS = [
  "-std=c11",
  "-O3",
  "-msimd128",
  "-Wall",
  "-Wextra",
  "-Werror",
  "--no-entry",
  "-sSTANDALONE_WASM",
  "-sIMPORTED_MEMORY",
  "-sINITIAL_MEMORY=2MB", // what Memory.load gives
  "-sALLOW_MEMORY_GROWTH",
  "-sMAXIMUM_MEMORY=4GB",
  "-sTOTAL_STACK=262144",
  "-Wl,--export=__heap_base",
];

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** Compiles one module into `out`; the functions that its header declares are its exports. */
export async function compile(name: string, exports: readonly string[], out: string): Promise<void> {
  const exported = `-sEXPORTED_FUNCTIONS=${exports.map((e) => `_${e}`).join(",")}`;
  const command = new Deno.Command("emcc", { args: [path(`./${name}.c`), ...FLAGS, exported, "-o", out] });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`emcc failed on ${name}.c:\n${new TextDecoder().decode(stderr)}`);
}

/** The bindings of one module as TypeScript source, formatted as `deno fmt` would. */
export async function generate(name: string): Promise<{ source: string; exports: string[] }> {
  const header = await Deno.readTextFile(new URL(`./${name}.h`, import.meta.url));
  const { source, exports } = bindings(name, header);
  const config = path("../deno.json");
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", "ts", "--config", config, "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  return { source: new TextDecoder().decode((await fmt.output()).stdout), exports };
}

if (import.meta.main) {
  const wanted = Deno.args.length > 0 ? Deno.args : MODULES;
  for (const name of wanted) {
    const { source, exports } = await generate(name);
    await Deno.writeTextFile(new URL(`./${name}.ts`, import.meta.url), source);
    await compile(name, exports, path(`./${name}.wasm`));
  }
}
