/** What Prometheus hears of a pool, as far as there is one. */
import { strict as assert } from "node:assert";
import type { PoolStatus } from "../../src/server/pool_metrics.ts";
import { serveLive } from "./live_server.ts";
import { content, finish, ScriptedModel } from "./scripted_model.ts";

type Stage = PoolStatus["stages"][number];

const stage = (id: string, more: Partial<Stage> = {}): Stage => ({
  ...{ id, host: "box", layers: { start: 0, end: 10 }, steps: 7, rows: 90, rowsPerSecond: 40, busy: 0.5, queue: 2 },
  ...{ malformed: 1, hops: [] },
  ...more,
});

const hop = (transport: "tcp" | "nats", roundTripMillis: number | null) => ({
  ...{ route: 0, to: "server" },
  ...{ transport, roundTripMillis },
});

/** A server whose engine tells what is in `pool` at the moment. */
class Pooled extends ScriptedModel {
  pool: PoolStatus = { stages: [], routes: [], missing: [], lost: 0, restarted: 0, waited: 0, malformed: 0 };
  override async status() {
    return { ...await super.status(), pool: this.pool };
  }
}

/** Series by name and labels, from Prometheus' text format. */
async function series(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new Map(
    text.split("\n").filter((line) => line.startsWith("ringlet_pool_")).map((line) => {
      const [, name, value] = /^(\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? assert.fail(line);
      return [name!, Number(value)];
    }),
  );
}

Deno.test("GET /metrics has the figures of a pool's stages and routes, and forgets who is gone", async () => {
  const model = new Pooled([content("a"), finish]);
  await using server = await serveLive([], { model: () => model });
  const hops = [hop("tcp", 0.25), hop("tcp", 0.5), hop("nats", null)];
  model.pool = {
    stages: [
      stage("a", { hops }),
      stage("b", { host: 'q"uote', layers: { start: 10, end: 20 }, hops: [hop("nats", 2)] }),
    ],
    routes: [{ route: 3, stages: ["a", "b"], sequences: 4 }],
    missing: [],
    ...{ lost: 1, restarted: 5, waited: 6, malformed: 7 },
  };
  const first = await series(server.url);
  const a = 'stage="a",host="box",layers="0-9"';
  const b = 'stage="b",host="q\\"uote",layers="10-19"';
  assert.deepEqual(
    first,
    new Map(Object.entries({
      ...Object.fromEntries(
        Object.entries({
          up: 1,
          rows_per_second: 40,
          busy_ratio: 0.5,
          queue: 2,
          steps_total: 7,
          rows_total: 90,
          malformed_total: 1,
        })
          .flatMap(([name, value]) => [a, b].map((labels) => [`ringlet_pool_stage_${name}{${labels}}`, value])),
      ),
      ringlet_pool_stages_lost_total: 1,
      ringlet_pool_sequences_restarted_total: 5,
      ringlet_pool_sequences_waited_total: 6,
      ringlet_pool_malformed_total: 7,
      [`ringlet_pool_hop_round_trip_seconds{${a},transport="tcp"}`]: 0.0005,
      [`ringlet_pool_hop_round_trip_seconds{${b},transport="nats"}`]: 0.002,
      ringlet_pool_routes: 1,
      ringlet_pool_layers_missing: 0,
      'ringlet_pool_route_sequences{route="3"}': 4,
    })),
  );
  model.pool = { ...model.pool, stages: [stage("a")], routes: [], missing: [{ start: 10, end: 20 }], lost: 2 };
  const second = await series(server.url);
  assert.equal(second.get("ringlet_pool_stages_lost_total"), 2);
  assert.equal(second.get(`ringlet_pool_stage_steps_total{${a}}`), 7); // not added to what it was
  assert.equal(second.get("ringlet_pool_layers_missing"), 10);
  const gone = [...second.keys()].filter((name) => /stage="b"|route="3"|round_trip/.test(name));
  assert.deepEqual(gone, []);
});

Deno.test("GET /metrics is bounded however large a pool is", async () => {
  const model = new Pooled([]);
  await using server = await serveLive([], { model: () => model });
  const stages = Array.from({ length: 1500 }, (_, i) => stage(`s${i}`, { host: "h".repeat(400) }));
  model.pool = { ...model.pool, stages };
  const all = [...(await series(server.url)).keys()];
  assert.equal(all.filter((name) => name.includes("_up{")).length, 1000);
  assert.ok(all.every((name) => name.length < 200));
});

Deno.test("GET /metrics says nothing of pools where there is none", async () => {
  await using server = await serveLive([]);
  assert.deepEqual(await series(server.url), new Map());
});
