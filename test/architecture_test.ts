/** The import rules of ARCHITECTURE.md: who may import whom, checked on every edge that `deno info` lists. */
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";

/** Place → what its files may import besides their own folder. The longest place that a path begins with counts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "src/main.ts": ["src/cli/", "src/mod.ts"],
  "src/cli/": ["src/server/", "src/chat/", "src/pool/", "src/mod.ts", "deno.json"],
  "src/server/": ["src/chat/", "deno.json"],
  "src/server/page.ts": ["web/built/", "web/icon.svg", "web/page.html", "web/docs.html", "src/server/request_log.ts"],
  "src/server/schema/": [],
  "src/server/requests/": ["src/server/schema/", "src/chat/"],
  "src/server/replies/": ["src/server/schema/", "src/server/choices.ts", "src/chat/"],
  "src/mod.ts": ["src/chat/", "src/engine/", "src/load/", "src/pipeline/", "src/pool/", "src/stage/"],
  "src/load/": ["src/engine/", "src/pipeline/", "src/pool/", "src/stage/", "src/wire/", "deno.json"],
  "src/chat/": [
    "src/engine/",
    "src/grammar/",
    "src/pipeline/messages.ts",
    "src/pipeline/requests.ts",
    "src/pipeline/steps.ts",
    "wasm/",
  ],
  "src/engine/": ["src/pipeline/", "src/grammar/", "wasm/"],
  "src/grammar/": ["src/pipeline/requests.ts"],
  "src/pipeline/": [],
  "src/pipeline/messages.ts": ["src/pipeline/pool_status.ts", "src/pipeline/requests.ts", "src/pipeline/steps.ts"],
  "src/pipeline/steps.ts": ["src/pipeline/copies.ts"],
  "src/pipeline/copies.ts": [],
  "src/pipeline/pool_status.ts": ["src/pipeline/steps.ts"],
  "src/pipeline/requests.ts": [],
  "src/pipeline/pages.ts": ["src/pipeline/steps.ts"],
  "src/wire/": ["src/pipeline/"],
  "src/pool/": ["src/wire/", "src/pipeline/", "deno.json"],
  "workers/": ["src/engine/", "src/pipeline/", "src/stage/"],
  "workers/pool.ts": ["src/engine/pool_host.ts", "src/pool/", "src/pipeline/messages.ts"],
  "workers/thread.ts": ["src/backend/wasm/thread.ts", "src/pipeline/messages.ts"],
  "src/stage/": ["src/model/", "src/formats/", "src/backend/", "src/pipeline/"],
  "src/model/": [
    "src/formats/",
    "src/backend/backend.ts",
    "src/backend/tensor.ts",
    "src/pipeline/copies.ts",
    "src/pipeline/messages.ts",
    "src/pipeline/pages.ts",
    "src/pipeline/steps.ts",
  ],
  "src/formats/": [],
  "src/backend/backend.ts": ["src/backend/tensor.ts", "src/pipeline/steps.ts"],
  "src/backend/tensor.ts": [],
  "src/backend/webgpu/": [
    "src/backend/backend.ts",
    "src/backend/tensor.ts",
    "src/pipeline/messages.ts",
    "src/pipeline/steps.ts",
    "shaders/",
  ],
  "src/backend/webgpu/dawn/": ["src/backend/webgpu/libraries/"],
  "src/backend/webgpu/wgpu_native/": ["src/backend/webgpu/libraries/"],
  "src/backend/webgpu/libraries/": [],
  "src/backend/wasm/": [
    "src/backend/backend.ts",
    "src/backend/tensor.ts",
    "src/pipeline/messages.ts",
    "src/pipeline/steps.ts",
    "wasm/",
  ],
  "shaders/": [],
  "wasm/": [],
  "web/": ["web/state/", "web/view/", "web/docs/"],
  "web/docs/": [],
  "web/view/": ["web/state/", "web/api/", "web/markdown/", "web/clipboard.ts"],
  "web/state/": ["web/api/"],
  "web/markdown/": ["web/clipboard.ts"],
  "web/api/": [],
};

/** Files that import no neighbours but those named above. */
const LEAVES = [
  "src/backend/tensor.ts",
  "src/pipeline/copies.ts",
  "src/pipeline/messages.ts",
  "src/pipeline/pool_status.ts",
  "src/pipeline/requests.ts",
  "src/pipeline/steps.ts",
];

const ROOT = new URL("../", import.meta.url);

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly Dependency[];
}

interface Dependency {
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
}

/** Files of a folder by extension, as paths from the root. */
function* files(folder: string, extension: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* files(`${folder}${name}/`, extension);
    else if (name.endsWith(extension)) yield `${folder}${name}`;
  }
}

const sources = () => [
  ...["src/", "workers/", "shaders/", "wasm/", "web/"].flatMap((folder) => [...files(folder, ".ts")]),
  ...files("web/", ".tsx"),
];
const within = (specifier: string) => specifier.startsWith(ROOT.href) ? specifier.slice(ROOT.href.length) : null;

async function info(path: string): Promise<readonly Module[]> {
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", path], cwd: fileURLToPath(ROOT) });
  return (JSON.parse(new TextDecoder().decode((await command.output()).stdout)) as { modules: Module[] }).modules;
}

/** Every import between files of ours, `[from, to]`; nothing is imported from several roots at once. */
async function edges(): Promise<(readonly [from: string, to: string])[]> {
  const seen = new Set<string>();
  const found: (readonly [string, string])[] = [];
  for (const path of sources()) {
    if (seen.has(path)) continue;
    for (const { specifier, dependencies = [] } of await info(path)) {
      const from = within(specifier);
      if (from === null || seen.has(from)) continue;
      seen.add(from);
      for (const { code, type } of dependencies) {
        const to = within((code ?? type)?.specifier ?? "");
        if (to !== null) found.push([from, to]);
      }
    }
  }
  return found;
}

function isAllowed(from: string, to: string): boolean {
  const place =
    Object.keys(MAY_IMPORT).filter((prefix) => from.startsWith(prefix)).sort((a, b) => b.length - a.length)[0];
  if (place === undefined) return false;
  const folder = from.slice(0, from.lastIndexOf("/") + 1);
  const own = folder !== "src/" && to.startsWith(folder) && !LEAVES.includes(from);
  return own || MAY_IMPORT[place]!.some((prefix) => to.startsWith(prefix));
}

Deno.test("imports only go the ways that ARCHITECTURE.md allows", async () => {
  const all = await edges();
  assert.ok(all.length > 50, `only ${all.length} imports were found`);
  assert.deepEqual(all.filter(([from, to]) => !isAllowed(from, to)).map((edge) => edge.join(" → ")), []);
});

Deno.test("isAllowed() refuses arrows that point upwards or past a seam", () => {
  for (
    const [from, to] of [
      ["src/model/model.ts", "src/backend/webgpu/webgpu_backend.ts"],
      ["src/pipeline/pipeline.ts", "src/engine/engine.ts"],
      ["src/engine/engine.ts", "src/model/model.ts"],
      ["src/server/app.ts", "src/engine/engine.ts"],
      ["src/chat/chat.ts", "src/server/app.ts"],
      ["src/pipeline/messages.ts", "src/pipeline/link.ts"],
      ["src/unknown.ts", "src/mod.ts"],
      ["web/state/store.ts", "web/view/app.tsx"],
      ["web/view/app.tsx", "src/chat/messages.ts"],
    ] as const
  ) assert.equal(isAllowed(from, to), false, `${from} → ${to}`);
});

Deno.test("every source file begins with one sentence that says what it is", () => {
  const openings = [
    ...sources().map((path) => [path, /^(#!.*\n)?\/\*\* \S/] as const),
    ...[...files("shaders/", ".wgsl"), ...files("wasm/", ".c"), ...files("wasm/", ".h")].map((path) =>
      [path, /^\/\/ \S/] as const
    ),
  ];
  const silent = openings.filter(([path, opening]) => !opening.test(Deno.readTextFileSync(new URL(path, ROOT))));
  assert.deepEqual(silent.map(([path]) => path), []);
});

Deno.test("nothing asks whether an object is of Deno's own WebGPU, as those of other providers are not", () => {
  const asks = (path: string) => /instanceof GPU\w*(?<!Error)\b/.test(Deno.readTextFileSync(new URL(path, ROOT)));
  assert.deepEqual([...files("src/", ".ts")].filter(asks), []);
});
