/** Every file in deploy, checked by the tool for its kind. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { DCLinter } from "dclint";
import { parseAllDocuments } from "yaml";
import { DEPLOY, FETCH, HADOLINT, KUBERNETES_SCHEMAS, passes, program, testWith } from "./linters.ts";

const KUBERNETES = join(DEPLOY, "kubernetes");
const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

Deno.test("deploy has no file of a kind that nothing here checks", () => {
  const known =
    /^(Dockerfile(\.dockerignore)?|compose(\.gpu)?\.yaml|nats\.conf|pool\.env|certificates\.sh|.*\.service)$/;
  const rest = names(DEPLOY).filter((name) => !known.test(name) && name !== "kubernetes" && name !== "certificates");
  assert.deepEqual([...rest, ...names(KUBERNETES).filter((name) => !name.endsWith(".yaml"))], []);
});

testWith(HADOLINT, FETCH, "hadolint finds nothing in the Dockerfile", async (hadolint) => {
  assert.equal(await passes(hadolint, ["Dockerfile"]), "");
});

testWith(
  program("cp"),
  "a shell copies files",
  "the image's files are enough to generate, and no tests",
  async (cp) => {
    const ignore = await Deno.readTextFile(join(DEPLOY, "Dockerfile.dockerignore"));
    const kept = ignore.split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
    const image = await Deno.makeTempDir();
    try {
      await passes("/bin/sh", ["-c", `${cp} -r --parents ${kept.join(" ")} ${image}`], join(DEPLOY, ".."));
      const args = ["generate", "--backend", "wasm", "--max-tokens", "1", "Hi"];
      await passes(Deno.execPath(), ["run", "-A", "--cached-only", "src/main.ts", ...args], image);
      assert.ok(!names(image).includes("test"));
    } finally {
      await Deno.remove(image, { recursive: true });
    }
  },
);

/** What dclint is not asked: the alphabet's order, and a name in a file that is put over another. */
const RULES = {
  "service-keys-order": 0,
  "services-alphabetical-order": 0,
  "top-level-properties-order": 0,
  "require-project-name-field": 0,
  "require-quotes-in-ports": [1, { quoteType: "double" }],
} as const;

Deno.test("compose files have the form that Compose's schema asks for, and dclint finds nothing else", async () => {
  const linter = new DCLinter({ rules: RULES as never, quiet: false, debug: false, exclude: [] });
  const found = (file: string) =>
    linter.lintFiles([file], false).flatMap(({ messages }) =>
      messages.map(({ line, message }) => `${line}: ${message}`)
    );
  const files = names(DEPLOY).filter((name) => /^compose.*\.yaml$/.test(name)).map((name) => join(DEPLOY, name));
  assert.equal(files.length, 2);
  for (const file of files) assert.deepEqual([file, found(file)], [file, []]);
  const misspelt = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(misspelt, (await Deno.readTextFile(files[1]!)).replaceAll("restart:", "restarts:"));
  assert.notDeepEqual(found(misspelt), []);
  await Deno.remove(misspelt);
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Definition {
  readonly "x-kubernetes-group-version-kind"?: readonly { group: string; version: string; kind: string }[];
}

testWith(KUBERNETES_SCHEMAS, FETCH, "manifests are what Kubernetes 1.37 takes, to the last key", async (path) => {
  const schemas = JSON.parse(await Deno.readTextFile(path)) as { $id: string; $defs: Record<string, Definition> };
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(schemas);
  const wrong = (manifest: Manifest) => {
    const [definition] = Object.entries(schemas.$defs).find(([, schema]) =>
      schema["x-kubernetes-group-version-kind"]?.some(({ group, version, kind }) =>
        kind === manifest.kind && (group ? `${group}/${version}` : version) === manifest.apiVersion
      )
    )!;
    const validate = ajv.compile({ $ref: `${schemas.$id}#/$defs/${definition}` });
    return validate(manifest) ? [] : validate.errors!.map((error) => `${error.instancePath} ${error.message}`);
  };
  for (const name of names(KUBERNETES)) {
    for (const document of parseAllDocuments(await Deno.readTextFile(join(KUBERNETES, name)))) {
      const manifest = document.toJS() as Manifest;
      assert.deepEqual([name, manifest.kind, wrong(manifest)], [name, manifest.kind, []]);
      assert.equal(manifest.kind === "Namespace" ? manifest.metadata.name : manifest.metadata.namespace, "ringlet");
      assert.notDeepEqual(wrong({ ...manifest, metadata: { ...manifest.metadata, nam: "x" } as never }), []);
    }
  }
});

testWith(
  program("systemd-analyze"),
  "apt-get install systemd",
  "systemd takes the units, and they are confined",
  async (systemd) => {
    const folder = await Deno.makeTempDir();
    const units = names(DEPLOY).filter((name) => name.endsWith(".service"));
    for (const name of units) {
      const unit = await Deno.readTextFile(join(DEPLOY, name));
      await Deno.writeTextFile(join(folder, name), unit.replace("/usr/local/bin/deno", Deno.execPath()));
      assert.equal(await passes(systemd, ["verify", "--recursive-errors=one", `./${name}`], folder), "");
      // 0 is a service that may do nothing, 10 one that may do all.
      await passes(systemd, ["security", "--offline=true", "--threshold=20", `./${name}`], folder);
    }
    assert.equal(units.length, 2);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  program("shellcheck"),
  "apt-get install shellcheck",
  "shellcheck finds nothing in scripts",
  async (shellcheck) => {
    const scripts = names(DEPLOY).filter((name) => name.endsWith(".sh"));
    assert.equal(await passes(shellcheck, scripts), "");
  },
);
