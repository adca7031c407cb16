/** What entries of members say of their pool. */
import { strict as assert } from "node:assert";
import type { Member } from "../../src/pool/entries.ts";
import { overviewOf } from "../../src/pool/overview.ts";
import type { ServerEntry, StageOffer } from "../../src/pool/protocol.ts";
import { exampleOffer, exampleServer, exampleStage } from "./example_entries.ts";

const stage = (id: string, start: number, end: number, more: Partial<StageOffer> = {}): Member => ({
  ...{ kind: "stage", id, entry: exampleStage(id, 1, { layers: { start, end }, ...more }) },
});
const server = (more: Partial<ServerEntry> = {}): Member => ({
  ...{ kind: "server", id: "s", entry: { ...exampleServer("s"), refused: [], routes: [], ...more } },
});

Deno.test("overviewOf() tells who serves, who is idle, who is refused and who is lost, by their layers", () => {
  const members = [
    stage("b", 2, 4),
    stage("idle", 2, 4, { host: "z" }),
    stage("a", 0, 2),
    stage("c", 0, 4),
    server({
      routes: [{ route: 7, stages: ["a", "b"], sequences: 2 }, { route: 3, stages: ["a", "b"], sequences: 1 }],
      refused: [{ id: "c", reason: "it has another model" }],
    }),
    { kind: "unknown", id: "u", reason: "Cannot read the entry of stage.u: it speaks version 9" } as const,
  ];
  const { stages, servers, unknown, models } = overviewOf("default", members, [exampleStage("gone")]);
  assert.deepEqual(stages.map(({ id, state, routes, reason }) => [id, state, routes, reason]), [
    ["a", "serving", [3, 7], null],
    ["c", "refused", [], "it has another model"],
    ["gone", "lost", [], null],
    ["b", "serving", [3, 7], null],
    ["idle", "idle", [], null],
  ]);
  assert.deepEqual(servers.map(({ session, running }) => [session, running]), [["s", 1]]);
  assert.deepEqual(unknown, [{ id: "u", reason: "Cannot read the entry of stage.u: it speaks version 9" }]);
  assert.deepEqual(models, [{ hash: "ab".repeat(32), layers: 4, missing: [] }]);
});

Deno.test("overviewOf() tells the layers that are missing, of each model", () => {
  const model = { ...exampleOffer("x").model, hash: "cd".repeat(32), layers: 6 };
  const missing = (members: readonly Member[]) => overviewOf("default", members).models.map(({ missing }) => missing);
  assert.deepEqual(missing([server(), stage("a", 1, 2)]), [[{ start: 0, end: 1 }, { start: 2, end: 4 }]]);
  assert.deepEqual(missing([stage("a", 0, 4), stage("x", 3, 6, { model })]), [[], [{ start: 0, end: 3 }]]);
  const refused = [{ id: "b", reason: "it has no room" }];
  assert.deepEqual(missing([server({ refused }), stage("a", 0, 2), stage("b", 2, 4)]), [[{ start: 2, end: 4 }]]);
  assert.deepEqual(overviewOf("default", [server()]).models, [{ hash: "ab".repeat(32), layers: null, missing: [] }]);
});
