/** The test files that compute on a GPU, and those that could: found in what they import. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url);
const FOLDER = fileURLToPath(ROOT);

interface Module {
  readonly specifier: string;
  /** Those of types alone have no `code`. */
  readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
}

/** Test files as paths from the root, which import a module, directly or not. */
export interface GpuTests {
  /** test/gpu.ts, which says where GPUs come from. */
  readonly onGpu: readonly string[];
  /** The product's own providers, and not test/gpu.ts. */
  readonly others: readonly string[];
}

export async function findGpuTests(): Promise<GpuTests> {
  const tests = [...testFiles("test")].sort();
  const modules = new Map((await graph(tests)).map((module) => [module.specifier, module]));
  const imports = (file: string, wanted: string) =>
    reachable(modules, new URL(file, ROOT).href).has(new URL(wanted, ROOT).href);
  const onGpu = tests.filter((file) => imports(file, "test/gpu.ts"));
  const others = tests.filter((file) => !onGpu.includes(file) && imports(file, "src/backend/webgpu/provider.ts"));
  return { onGpu, others };
}

function* testFiles(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(join(FOLDER, folder))) {
    if (isDirectory) yield* testFiles(`${folder}/${name}`);
    else if (name.endsWith("_test.ts")) yield `${folder}/${name}`;
  }
}

/** All modules that some files import: asked for at once, as one file that imports them. */
async function graph(files: readonly string[]): Promise<readonly Module[]> {
  const root = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(root, files.map((file) => `import "${new URL(file, ROOT).href}";\n`).join(""));
    const args = ["info", "--json", "--config", join(FOLDER, "deno.json"), root];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    return (JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] }).modules;
  } finally {
    await Deno.remove(root);
  }
}

function reachable(modules: ReadonlyMap<string, Module>, from: string): ReadonlySet<string> {
  const found = new Set([from]);
  for (const specifier of found) { // which grows meanwhile
    for (const { code } of modules.get(specifier)?.dependencies ?? []) if (code?.specifier) found.add(code.specifier);
  }
  return found;
}
