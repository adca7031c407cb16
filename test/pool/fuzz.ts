/** What nobody should send to the members of a pool: to every subject that is heard of among them, and every socket that they listen on. */
import type { NatsConnection } from "@nats-io/nats-core";
import { random } from "../../bench/abuse.ts";
import { connectBroker } from "../../src/pool/connection.ts";
import { controlSubject } from "../../src/pool/protocol.ts";
import type { Host } from "./hosts.ts";
import type { TestPool } from "./pool.ts";

type Draw = () => number;

const encoder = new TextEncoder();
const bytes = (draw: Draw, most: number) => Uint8Array.from({ length: draw() * most }, () => draw() * 256);
const pick = <T>(draw: Draw, all: readonly T[]): T => all[Math.floor(draw() * all.length)]!;

/** Values that JSON can say and that few expect. */
const ODD: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 1e308, 2 ** 53, "", "x".repeat(5000), "\ud800", "0".repeat(64), "*.>", "$JS.API.>"],
  ...[
    [],
    {},
    [[[[[]]]]],
    { length: 2 ** 31 },
    { constructor: null, toString: 1 },
    JSON.parse('{"__proto__":{"type":"join"}}'),
  ],
];

/** A request to a stage with some members that are not as they should be, of a session that there is not. */
function controlRequest(draw: Draw): Uint8Array {
  const hex = () => Array.from({ length: 64 }, () => Math.floor(draw() * 16).toString(16)).join("");
  const tcp = { hosts: ["127.0.0.1"], port: Math.floor(draw() * 70_000), sealed: draw() < 0.5 };
  const request: Record<string, unknown> = {
    ...{ type: pick(draw, ["connect", "leave", "joined", "stage", "join"]), protocol: Math.floor(draw() * 9) + 100 },
    ...{ session: hex(), route: Math.floor(draw() * 100), activations: pick(draw, ["f32", "bf16", "f64"]) },
    ...{ name: "fuzz", to: { subject: `ringlet.default.inbox.${hex()}`, token: hex(), tcp } },
  };
  const fields = Object.keys(request);
  for (let i = 0; i < 1 + draw() * 2; i++) request[pick(draw, fields)] = pick(draw, ODD);
  const text = JSON.stringify(request);
  return encoder.encode(draw() < 0.2 ? text.slice(0, draw() * text.length) : text);
}

/** A message of any kind. */
function message(draw: Draw): Uint8Array {
  const kind = draw();
  if (kind < 0.3) return bytes(draw, 300);
  if (kind < 0.4) return bytes(draw, 20_000);
  if (kind < 0.5) return encoder.encode(JSON.stringify(pick(draw, ODD)));
  return controlRequest(draw);
}

/** What comes first on a socket: nothing, a part of a token, a wrong one, and lengths that there are no frames of. */
function opening(draw: Draw): Uint8Array {
  const token = Uint8Array.from({ length: 32 }, () => draw() * 256);
  const lengths = [0, 1, 31, 2 ** 16, 2 ** 31, 2 ** 32 - 1];
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, pick(draw, lengths), draw() < 0.5);
  const parts = [token.subarray(0, draw() < 0.3 ? draw() * 32 : 32), head, bytes(draw, 500), head];
  return new Uint8Array(parts.slice(0, 1 + draw() * parts.length).flatMap((part) => [...part]));
}

/** Subjects that something was sent to within `millis`, on the way between members; not the broker's own. */
async function subjectsOf(nats: NatsConnection, pool: TestPool, millis: number): Promise<readonly string[]> {
  const { stages } = await pool.entries.read();
  const heard = new Set(stages.map(({ offer }) => controlSubject("default", offer.id)));
  const listening = nats.subscribe(">", { callback: (_error, { subject }) => void heard.add(subject) });
  await new Promise((resolve) => setTimeout(resolve, millis));
  listening.unsubscribe();
  return [...heard].filter((subject) => /^(ringlet\.|_INBOX\.|\$KV\.)/.test(subject));
}

/** Sends `count` messages to each subject of the pool; gives how many went where. */
export async function fuzzSubjects(pool: TestPool, count: number, seed = 1): Promise<ReadonlyMap<string, number>> {
  const draw = random(seed);
  await using broker = await connectBroker({ url: pool.broker.url }, "watch");
  const { nats } = broker;
  const subjects = await subjectsOf(nats, pool, 1500);
  for (let i = 0; i < count; i++) {
    for (const subject of subjects) nats.publish(subject, message(draw), { reply: `fuzz.${i}` });
    if (i % 20 === 0) await nats.flush();
  }
  await nats.flush();
  return new Map(subjects.map((subject) => [subject, count]));
}

/** Ports that a host's processes listen on, read where they run. */
async function listeningPorts(host: Host): Promise<readonly number[]> {
  const [program, ...args] = [...host.within, "cat", "/proc/net/tcp", "/proc/net/tcp6"];
  const { stdout } = await new Deno.Command(program!, { args }).output();
  const lines = new TextDecoder().decode(stdout).split("\n").map((line) => line.trim().split(/\s+/));
  const listening = lines.filter(([, , , state]) => state === "0A");
  return [...new Set(listening.map(([, local]) => parseInt(local!.split(":")[1]!, 16)))];
}

/** Opens `count` connections to each of a host's ports but `spared`, and sends what is not asked for; gives how many there were. */
export async function fuzzSockets(host: Host, spared: readonly number[], count: number, seed = 1): Promise<number> {
  const draw = random(seed);
  const ports = (await listeningPorts(host)).filter((port) => !spared.includes(port));
  for (const port of ports) {
    for (let i = 0; i < count; i++) {
      using connection = await Deno.connect({ hostname: host.address, port });
      await connection.write(opening(draw)).catch(() => {}); // it may have been closed already
    }
  }
  return ports.length * count;
}
