/** What deploy and docs/DEPLOY.md say of our program is so: every command to its last flag, and every metric. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { Registry } from "prom-client";
import { parse, parseAllDocuments } from "yaml";
import { program } from "../../src/cli/program.ts";
import type { Host } from "../../src/cli/host.ts";
import { Metrics } from "../../src/server/metrics.ts";
import { PoolMetrics } from "../../src/server/pool_metrics.ts";
import { DEPLOY } from "./linters.ts";

/** Where a command stands, and its words behind `ringlet`. */
type Said = readonly [where: string, words: readonly string[]];

const read = (path: string) => Deno.readTextFileSync(join(DEPLOY, path));

function inDockerfile(): Said[] {
  const words = JSON.parse(/^CMD (\[.*\])$/m.exec(read("Dockerfile"))![1]!);
  return [["Dockerfile", words]];
}

function inCompose(): Said[] {
  const { services } = parse(read("compose.yaml"), { merge: true }) as {
    services: Record<string, { image: string; command: string[] }>;
  };
  return Object.entries(services).filter(([, { image }]) => image === "ringlet").map(([name, { command }]) => [
    `compose.yaml, ${name}`,
    command.map((word) => word.replace(/\$\{\w+:-(.*?)\}/g, "$1")),
  ]);
}

interface Workload {
  readonly spec?: { readonly template?: { readonly spec: { readonly containers: readonly Container[] } } };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
}

function inManifests(): Said[] {
  return Array.from(Deno.readDirSync(join(DEPLOY, "kubernetes"))).flatMap(({ name }) =>
    parseAllDocuments(read(`kubernetes/${name}`)).flatMap((document) =>
      ((document.toJS() as Workload).spec?.template?.spec.containers ?? [])
        .filter(({ image }) => image.startsWith("ringlet"))
        .map(({ args }): Said => [name, args])
    )
  );
}

/** What units say in place of words. */
const PLACES = { "%i": "0-9", "%d": "/credentials", "${NATS}": "tls://nats:4222", "${MODEL}": "/model" };

function inUnits(): Said[] {
  return ["ringlet-serve.service", "ringlet-stage@.service"].map((name) => {
    let line = /^ExecStart=.*src\/main\.ts (.*?)( \$\w+)?$/m.exec(read(name))![1]!;
    for (const [place, word] of Object.entries(PLACES)) line = line.replaceAll(place, word);
    return [name, line.split(" ")];
  });
}

function inPage(): Said[] {
  const blocks = read("../docs/DEPLOY.md").matchAll(/^```sh\n(.*?)^```/gms);
  const lines = Array.from(blocks, ([, text]) => text!.replaceAll(/\\\n\s*/g, "").split("\n")).flat();
  return lines.flatMap((line): Said[] => {
    const [, task, rest] = /deno (?:task (ringlet|serve)|run -A src\/main\.ts) (.*?)( #.*)?$/.exec(line) ?? [];
    if (rest === undefined) return [];
    return [[`DEPLOY.md: ${line}`, [...task === "serve" ? ["serve"] : [], ...rest.split(/\s+/)]]];
  });
}

/** Takes words as the command line does, and does nothing. */
async function parses(words: readonly string[]): Promise<void> {
  const quiet = (command: Command) => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} }).action(() => {});
    command.commands.forEach((command) => quiet(command as Command));
  };
  const ringlet = program({} as Host);
  ringlet.commands.forEach((command) => quiet(command as Command));
  await ringlet.parseAsync([...words], { from: "user" });
}

for (const [source, said] of Object.entries({ inDockerfile, inCompose, inManifests, inUnits, inPage })) {
  Deno.test(`the command line takes every command that is ${source.replace(/^in/, "in the deployment's ")}`, async () => {
    const all = said();
    assert.ok(all.length > 0);
    for (const [where, words] of all) {
      await assert.doesNotReject(parses(words), where);
      await assert.rejects(parses([...words, "--no-such-flag"]), where);
    }
  });
}

Deno.test("every metric that alerts and autoscalers follow is one of the server's", async () => {
  const manifests = Array.from(Deno.readDirSync(join(DEPLOY, "kubernetes")), ({ name }) => read(`kubernetes/${name}`));
  const alerts = Array.from(read("../docs/DEPLOY.md").matchAll(/^```yaml\n.*?^```/gms), ([block]) => block);
  const named = new Set([...manifests, ...alerts].join("\n").match(/\bringlet_\w+/g));
  const registry = new Registry();
  new PoolMetrics(registry);
  const told = await registry.metrics() + await new Metrics(() => null).text();
  assert.ok(named.size >= 6);
  for (const name of named) assert.match(told, new RegExp(`^# TYPE ${name} `, "m"));
});
