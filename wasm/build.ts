/** Builds every C module of this folder: NAME.c and NAME.h become NAME.wasm, NAME_relaxed.wasm of some, and NAME.ts, its typed bindings; and where threads call by number, NAME_calls.h and .ts. */
import { fileURLToPath } from "node:url";
import { bindings } from "./bindings.ts";
import { callsInC, callsInTypeScript } from "./calls.ts";

export const MODULES = ["kernels", "tokenizer", "sampler"] as const;

/** Modules that are also built with relaxed SIMD, whose products and sums are rounded once together. */
export const RELAXED: readonly string[] = ["kernels"];

const COMPILE_FLAGS = ["-O3", "-msimd128", "-Wall", "-Wextra", "-Werror", "-c"];

const LINK_FLAGS = [
  "--no-entry",
  "-sSTANDALONE_WASM",
  "-sIMPORTED_MEMORY",
  "-sINITIAL_MEMORY=2MB", // what Memory.load gives
  "-sALLOW_MEMORY_GROWTH",
  "-sMAXIMUM_MEMORY=4GB",
  "-sTOTAL_STACK=262144",
  "-Wl,--export=__heap_base",
];

/** Modules whose vectors are written out and in order. What the compiler makes of neighbouring pointers is slower than what they were. */
const IN_ORDER: readonly string[] = ["kernels"];

/**
 * Modules that several threads compute with, in one shared memory: what they are compiled and what they are linked with. The first instance
 * writes the constants into it.
 */
const SHARED: readonly string[] = ["kernels"];
const SHARED_FLAGS = [["-matomics", "-mbulk-memory"], ["-Wl,--shared-memory"]] as const;

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

async function emcc(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("emcc", { args: [...args] }).output();
  if (!success) throw new Error(`emcc ${args[0]} failed:\n${new TextDecoder().decode(stderr)}`);
}

/** Compiles one module into `out`; the functions that its header declares are its exports. */
export async function compile(name: string, exports: readonly string[], out: string, relaxed = false): Promise<void> {
  const exported = `-sEXPORTED_FUNCTIONS=${exports.map((e) => `_${e}`).join(",")}`;
  const inOrder = IN_ORDER.includes(name);
  const [sharing, linking] = SHARED.includes(name) ? SHARED_FLAGS : [[], []];
  const ordering = inOrder ? ["-fno-slp-vectorize"] : [];
  const flags = [...COMPILE_FLAGS, ...sharing, ...ordering, ...(relaxed ? ["-mrelaxed-simd"] : [])];
  const folder = await Deno.makeTempDir();
  const [bitcode, object] = [`${folder}/${name}.bc`, `${folder}/${name}.o`];
  if (inOrder) { // optimized twice: only the second time it sees that arrays fit into registers
    await emcc([path(`./${name}.c`), "-std=c11", ...flags, "-emit-llvm", "-o", bitcode]);
    await emcc([bitcode, ...flags, "-o", object]);
  } else {
    await emcc([path(`./${name}.c`), "-std=c11", ...flags, "-o", object]);
  }
  // From -O2 on another optimizer goes over the module, which puts off sums until more values live than there are registers.
  await emcc([object, ...LINK_FLAGS, ...linking, inOrder ? "-O1" : "-O3", exported, "-o", out]);
  await Deno.remove(folder, { recursive: true });
  if (relaxed) await Deno.writeFile(out, standardCodes(await Deno.readFile(out)));
}

/**
 * What Emscripten 3.1.6 writes (behind `fd`, as all of SIMD), and what the standard has. It writes f32x4.relaxed_madd as the proposal had it,
 * which is no instruction now. i16x8.relaxed_dot_i8x16_i7x16_s it does not know; for that the kernels have i16x8.q15mulr_sat_s, which they do
 * not need and which takes and gives the same types. (clang 19 knows both, and fails over the kernels' widening of float16.)
 */
const CODES = [[[0xaf, 0x01], [0x85, 0x02]], [[0x82, 0x01], [0x92, 0x02]]] as const;

/** A module of relaxed SIMD with the standard's codes. No constant of the kernels has these bytes, or a test of the module would fail. */
function standardCodes(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  for (let i = 0; i + 2 < module.length; i++) {
    if (module[i] !== 0xfd) continue;
    const known = CODES.find(([[first, second]]) => module[i + 1] === first && module[i + 2] === second);
    if (known) module.set(known[1], i + 1);
  }
  return module;
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

/** The files by which kernels are called by their numbers, by their names; none of other modules. */
export async function generateCalls(name: string): Promise<Readonly<Record<string, string>>> {
  if (!SHARED.includes(name)) return {};
  const header = await Deno.readTextFile(new URL(`./${name}.h`, import.meta.url));
  return { [`${name}_calls.h`]: callsInC(name, header), [`${name}_calls.ts`]: callsInTypeScript(name, header) };
}

if (import.meta.main) {
  const wanted = Deno.args.length > 0 ? Deno.args : MODULES;
  for (const name of wanted) {
    const { source, exports } = await generate(name);
    await Deno.writeTextFile(new URL(`./${name}.ts`, import.meta.url), source);
    for (const [file, text] of Object.entries(await generateCalls(name))) await Deno.writeTextFile(path(file), text);
    await compile(name, exports, path(`./${name}.wasm`));
    if (RELAXED.includes(name)) await compile(name, exports, path(`./${name}_relaxed.wasm`), true);
  }
}
