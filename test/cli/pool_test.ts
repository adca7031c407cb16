/** `ringlet pool`: its table to the letter, its JSON, how it is drawn again, and the handing out of models. */
import assert from "node:assert/strict";
import colors from "picocolors";
import { fetchedModel } from "../../src/cli/fetched_model.ts";
import type { Host } from "../../src/cli/host.ts";
import { poolTable } from "../../src/cli/pool_table.ts";
import type { ModelTransfer, PoolOverview } from "../../src/mod.ts";
import { overviewOf } from "../../src/pool/overview.ts";
import type { Member } from "../../src/pool/entries.ts";
import type { StageOffer, StageStatus } from "../../src/pool/protocol.ts";
import { exampleServer, exampleStage } from "../pool/example_entries.ts";
import { ringlet } from "./fake_host.ts";

const NATS = ["--nats", "nats://broker:4222"];

function stage(
  id: string,
  start: number,
  end: number,
  offer: Partial<StageOffer>,
  status: Partial<StageStatus>,
): Member {
  const entry = exampleStage(id, 1, { layers: { start, end }, ...offer });
  return { kind: "stage", id, entry: { ...entry, status: { ...entry.status, hops: [], ...status } } };
}

const info = (device: string, weightBytes: number) => ({
  info: { ...exampleStage("x").offer.info, backend: "webgpu" as const, device, weightBytes, stateBytes: 5e8 },
});
const hop = (route: number, to: string, transport: "tcp" | "nats", roundTripMillis: number | null) => ({
  ...{ route, to, transport, roundTripMillis },
});

const first = stage(
  "gpu-1-5f0c2a91",
  0,
  2,
  { host: "gpu-1", ...info("NVIDIA H100 80GB HBM3 in a long name", 16.3e9) },
  {
    ...{ rowsPerSecond: 12345.6, busy: 0.834, queue: 2 },
    hops: [hop(1, "gpu-2-77aa01bc", "tcp", 0.213), hop(4, "gpu-2-77aa01bc", "tcp", 0.4), hop(5, "90ff", "nats", null)],
  },
);
const second = stage("gpu-2-77aa01bc", 2, 3, { host: "gpu-2", ...info("NVIDIA H100 80GB HBM3", 8.1e9) }, {
  ...{ rowsPerSecond: 98, busy: 0.07, malformed: 13 },
  hops: [hop(1, "server", "nats", 1.5)],
});
const refused = stage("c", 2, 4, { host: "old" }, {});
const server: Member = {
  ...{ kind: "server", id: "front-e0e1e2e3" },
  entry: {
    ...{ ...exampleServer("front-e0e1e2e3"), host: "front", running: 12, waiting: 3 },
    routes: [
      { route: 1, stages: ["gpu-1-5f0c2a91", "gpu-2-77aa01bc"], sequences: 7 },
      { route: 14, stages: ["gpu-1-5f0c2a91", "gpu-2-77aa01bc"], sequences: 5 },
    ],
    refused: [{ id: "c", reason: "it speaks version 2 of the pool's protocol" }],
  },
};
const unknown: Member = { kind: "unknown", id: "zz", reason: "Cannot read the entry of stage.zz: it is no JSON" };
const busy = overviewOf(
  "default",
  [second, refused, first, server, unknown],
  [exampleStage("dead", 1, { host: "gpu-9", layers: { start: 3, end: 4 } })],
);

const TABLE = `
pool default: 3 stages, 1 server, 12 sequences running, 3 waiting
layer 3 is missing, without which nothing is answered

server    host   running  waiting
e0e1e2e3  front       12        3

route  server    sequences  stages
1      e0e1e2e3          7  5f0c2a91 > 77aa01bc
14     e0e1e2e3          5  5f0c2a91 > 77aa01bc

stage     host   layers  state         tokens/s  busy  queue  malformed   memory  next                             device
5f0c2a91  gpu-1  0-1     serving 1,14    12,346  83 %      2          0  16.8 GB  77aa01bc tcp 0.40 ms, 90ff nats  NVIDIA H100 80GB HBM3 i…
77aa01bc  gpu-2  2       serving 1,14        98   7 %      0         13   8.6 GB  server nats 1.50 ms              NVIDIA H100 80GB HBM3
c         old    2-3     refused              0   0 %      0          0      3 B  -                                CPU (WASM SIMD)
dead      gpu-9  3       lost                 -     -      -          0      3 B  -                                CPU (WASM SIMD)

c is refused: it speaks version 2 of the pool's protocol
zz is not understood: Cannot read the entry of stage.zz: it is no JSON`.trim().split("\n");

Deno.test("the table of a pool has its servers, routes and stages, and what is wrong", () => {
  assert.deepEqual(poolTable(busy), TABLE);
});

Deno.test("the table is no wider than the terminal, and nothing in it steers one", () => {
  const narrow = poolTable(busy, 40);
  assert.deepEqual(narrow.map((line) => line.length > 40), narrow.map(() => false));
  assert.equal(narrow[0], "pool default: 3 stages, 1 server, 12 se…");
  const hostile = stage("a", 0, 4, { host: "\x1b[2Jx" }, {});
  assert.ok(!poolTable(overviewOf("default", [hostile])).join("").includes("\x1b"));
});

Deno.test("a pool without anybody, or whose broker is away, says so", () => {
  assert.deepEqual(poolTable(overviewOf("big", [])), ["pool big: nobody is in it"]);
  assert.deepEqual(poolTable(overviewOf("big", [server])).slice(0, 2), [
    "pool big: 0 stages, 1 server, 12 sequences running, 3 waiting",
    "nobody has any layer of the model",
  ]);
  assert.deepEqual(poolTable(overviewOf("big", [], [], "The broker is away"))[1], "The broker is away");
});

/** Gives these and notes whether it was ended. */
function watching(...overviews: PoolOverview[]) {
  const asked: unknown[] = [];
  async function* watchPool({ signal: _, ...options }: { signal: AbortSignal }) {
    asked.push(options);
    for (const overview of overviews) yield await Promise.resolve(overview);
    asked.push("all were asked for");
  }
  return { asked, host: { watchPool } };
}

Deno.test("pool prints the table once where stdout is no terminal, and JSON if it is to", async () => {
  const { asked, host } = watching(busy, busy);
  const once = await ringlet(["pool", ...NATS], { host });
  assert.deepEqual([once.code, once.out], [0, `${TABLE.join("\n")}\n`]);
  assert.deepEqual(asked, [{ nats: { url: "nats://broker:4222" }, pool: "default" }]);
  const json = await ringlet(["pool", "--pool", "big-1", "--json", ...NATS], { host });
  assert.deepEqual(JSON.parse(json.out), JSON.parse(JSON.stringify(busy)));
  assert.deepEqual(asked[1], { nats: { url: "nats://broker:4222" }, pool: "big-1" });
});

/** Commands at a terminal, and all that was drawn on it. */
async function atTerminal(rows: number, ...overviews: PoolOverview[]) {
  let drawn = "", out = "";
  const { asked, host } = watching(...overviews);
  const { code } = await ringlet(["pool", ...NATS], {
    host: {
      ...host,
      terminal: {
        ...{ interactive: true, live: true, paint: colors.createColors(false) },
        size: () => ({ columns: 60, rows }),
        draw: (text) => void (drawn += text),
        write: (text) => void (out += text),
        note: () => {},
        readAll: () => Promise.resolve(null),
        async *lines() {},
      },
    },
  });
  return { code, drawn, out, asked };
}

Deno.test("on a terminal pool draws in place, restores the terminal and leaves the last table there", async () => {
  const empty = overviewOf("default", []);
  const { code, drawn, out, asked } = await atTerminal(24, busy, empty);
  assert.equal(code, 0);
  assert.equal(asked.at(-1), "all were asked for");
  const [open, ...shown] = drawn.split("\x1b[H");
  assert.equal(open, "\x1b[?1049h\x1b[?25l\x1b[?7l");
  assert.equal(shown.length, 2);
  assert.deepEqual(
    shown[0]!.replace("\x1b[J", "").split("\x1b[K\n").map((line) => line.replace("\x1b[K", "")),
    poolTable(busy, 60),
  );
  assert.equal(shown[1], "pool default: nobody is in it\x1b[K\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l");
  assert.equal(out, "pool default: nobody is in it\n");
});

Deno.test("a table that is higher than the terminal says how much of it is not seen", async () => {
  const { drawn } = await atTerminal(5, busy);
  const lines = drawn.split("\x1b[H")[1]!.split("\n");
  assert.equal(lines.length, 5);
  assert.match(lines[4]!, new RegExp(`^… ${TABLE.length - 4} more lines`));
});

Deno.test("pool and what is below it need a broker, and names that can be ones", async () => {
  for (const args of [["pool"], ["pool", "models"], ["pool", "push", "--model", "m", "--name", "n"]]) {
    const { code, err } = await ringlet(args);
    assert.deepEqual([code, err], [
      1,
      "ringlet: Cannot reach a pool without its broker: give its address with --nats\n",
    ]);
  }
  const { code, err } = await ringlet(["pool", ...NATS, "--pool", "a.b"]);
  assert.equal(code, 2);
  assert.match(err, /a name of letters, digits/);
});

Deno.test("pool push tells the store where the model is, and pool models lists what it has", async () => {
  const asked: unknown[] = [];
  const nano = { name: "nano", bytes: 26_900_000, files: 7, pushed: "2026-01-02T03:04:05.678Z" };
  const host = {
    pushModel: ({ onProgress: _, signal: __, ...options }: ModelTransfer & { model: string }) => {
      asked.push(options);
      return Promise.resolve(nano);
    },
    storedModels: () => Promise.resolve([nano, { ...nano, name: "mini", bytes: 3.2e10 }]),
  };
  const push = await ringlet(["pool", "push", "--model", "models/ring-nano", "--name", "nano", ...NATS], { host });
  assert.deepEqual([push.code, push.out], [0, "nats:nano: 7 files, 26.9 MB\n"]);
  assert.deepEqual(asked, [{ nats: { url: "nats://broker:4222" }, model: "models/ring-nano", name: "nano" }]);
  const { out } = await ringlet(["pool", "models", ...NATS], { host });
  assert.deepEqual(out.split("\n"), [
    "model      files     size  pushed (UTC)",
    "nats:nano      7  26.9 MB  2026-01-02 03:04",
    "nats:mini      7  32.0 GB  2026-01-02 03:04",
    "",
  ]);
  const json = await ringlet(["pool", "models", "--json", ...NATS], { host });
  assert.deepEqual(JSON.parse(json.out)[0], nano);
  assert.equal((await ringlet(["pool", "models", ...NATS])).out, "there are no models\n");
});

Deno.test("a model of the broker's is fetched with the broker's flags, any other is taken as it stands", async () => {
  const asked: unknown[] = [];
  const host = {
    terminal: { note: () => {}, live: false },
    fetchModel: ({ onProgress: _, signal: __, ...options }: ModelTransfer) => {
      asked.push(options);
      return Promise.resolve("/cache/0123/nano");
    },
  } as unknown as Host;
  const { signal } = new AbortController();
  const flags = { model: "nats:nano", nats: "nats://broker:4222" };
  assert.equal(await fetchedModel(host, flags, "2-3", signal), "/cache/0123/nano");
  assert.deepEqual(asked, [{ nats: { url: "nats://broker:4222" }, layers: "2-3", name: "nano" }]);
  assert.equal(
    await fetchedModel(host, { ...flags, model: "models/nano" }, "2-3", signal),
    "models/nano",
  );
  assert.equal(await fetchedModel(host, {}, null, signal), undefined);
  await assert.rejects(fetchedModel(host, { model: "nats:nano" }, null, signal), {
    message: /give its address with --nats$/,
  });
});

Deno.test("stage and serve open what was fetched of a model of the broker's", async () => {
  const opened: unknown[] = [];
  const refuse = ({ model }: { readonly model?: string }) => {
    opened.push(model);
    return Promise.reject(new Error("That is enough"));
  };
  const host = {
    fetchModel: ({ name, layers }: { readonly name: string; readonly layers: string | null }) =>
      Promise.resolve(`/cache/${layers}/${name}`),
    joinPool: refuse,
    load: refuse,
  };
  const commands = [["stage", "--layers", "2-3", "--backend", "wasm"], ["serve", "--port", "0"]];
  for (const command of commands) {
    const { code, err } = await ringlet([...command, "--model", "nats:nano", ...NATS], { host });
    assert.deepEqual([code, err.split("\n").at(-2)], [1, "ringlet: That is enough"]);
    if (command[0] === "serve") assert.match(err, /^Serving nano at /);
  }
  assert.deepEqual(opened, ["/cache/2-3/nano", "/cache/null/nano"]);
});
