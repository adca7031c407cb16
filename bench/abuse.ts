/** What a server on the open net meets: broken requests, clients that do not read, leave or send too much. */

/** How often each thing happened: by status of the reply, or "none" where none came. */
export type Tally = Record<string, number>;

const JSON_HEADERS = "host: abuse\r\ncontent-type: application/json\r\n";
const CHAT = "POST /v1/chat/completions HTTP/1.1\r\n";
const question = { messages: [{ role: "user", content: "Hi" }], max_tokens: 4 };
/** An answer that goes on: both tokens that end one of the embedded model are impossible. */
const endless = {
  messages: [{ role: "user", content: "Tell me a story." }],
  ...{ stream: true, max_tokens: 4000, logit_bias: { "4086": -100, "4089": -100 } },
};

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

function post(body: string, length: number | string = new TextEncoder().encode(body).length): string {
  return `${CHAT}${JSON_HEADERS}content-length: ${length}\r\n\r\n${body}`;
}

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

/** Each level refers twice to the next: small to write, 2^40 places to visit. */
function doubling(): object {
  const level = (i: number) => ({
    type: "array",
    items: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }],
  });
  const $defs = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${i}`, level(i)]));
  return { $ref: "#/$defs/d0", $defs: { ...$defs, d40: { type: "null" } } };
}

/** Schemas that are small, or look so, and ask for a lot of work. */
const bombs = [
  doubling(),
  { type: "array", items: { type: "string" }, minItems: 1e9, maxItems: 1e9 },
  { type: "string", pattern: "^(a+)+(b|c*)*$", maxLength: 1e9 },
  {
    type: "object",
    properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, { type: "integer" }])),
  },
  { anyOf: Array.from({ length: 2000 }, (_, i) => ({ const: "x".repeat(i % 97) + i })) },
  { $ref: "#" },
  { type: "integer", minimum: -1e308, maximum: 1e308 },
];

const bomb = (schema: object) =>
  JSON.stringify({ ...question, response_format: { type: "json_schema", json_schema: { name: "b", schema } } });
const toolBomb = (parameters: object) =>
  JSON.stringify({ ...question, tools: [{ type: "function", function: { name: "b", parameters } }] });

/** Held to a schema from its first token on. */
const heldAtOnce = (schema: object) =>
  JSON.stringify({
    ...JSON.parse(bomb(schema)),
    ...{ max_tokens: 200, chat_template_kwargs: { enable_thinking: false } },
  });
/** Can be read in more ways with each letter. */
const ambiguous = { type: "string", pattern: "^(a{1,1000}){500,1000}$" };
/** Takes some 50 MB to follow, and is another one each time. */
const wide = (draw: () => number) => ({
  anyOf: Array.from({ length: 2000 }, (_, i) => ({ const: "x".repeat(i % 97) + draw() })),
});

/** Makers of one malformed request each. */
const makers: readonly ((draw: () => number) => string | Uint8Array)[] = [
  (draw) => Uint8Array.from({ length: 1 + draw() * 2000 }, () => draw() * 256),
  () => "GET\r\n\r\n",
  () => "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
  (draw) => `GET /${"a".repeat(draw() * 100_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  (draw) => `GET /v1/models HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(draw() * 300_000)}\r\n\r\n`,
  () => `GET / HTTP/1.1\r\n${"a: b\r\n".repeat(2000)}\r\n`,
  () => "GET /%ff%00/../..//v1/models/%e2%28 HTTP/1.1\r\nhost: a\r\n\r\n",
  (draw) =>
    `${["DELETE", "PATCH", "TRACE", "FOO"][Math.floor(draw() * 4)]} /v1/chat/completions HTTP/1.1\r\nhost: a\r\n\r\n`,
  () => post("{}", -1),
  () => post("{}", "99999999999999999999"),
  () => post("{}", 1_000_000),
  () => post("{"),
  () => post('"\ud800"'),
  (draw) => post(JSON.stringify(question).slice(0, draw() * 60)),
  () => post(nested(50_000, "[", "]")),
  () => post(`{"messages":${nested(60, '[{"role":"user","content":', "}]")}}`),
  () => post(JSON.stringify({ ...question, max_tokens: -1 })),
  () =>
    post(
      JSON.stringify({ ...question, logit_bias: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, 500])) }),
    ),
  () => post(JSON.stringify({ ...question, stop: Array(1000).fill("x") })),
  () => post(JSON.stringify({ messages: Array(20_000).fill({ role: "robot", content: 1 }) })),
  (draw) => post(bomb(bombs[Math.floor(draw() * bombs.length)]!)),
  (draw) => post(toolBomb(bombs[Math.floor(draw() * bombs.length)]!)),
  () => post(heldAtOnce(ambiguous)),
  (draw) => post(heldAtOnce(wide(draw))),
  () => `${CHAT}${JSON_HEADERS}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  () => `${CHAT}${JSON_HEADERS}transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  () => post("{}").replace("application/json", "multipart/form-data"),
  () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all",
];

/** Sends `count` malformed requests, eight at a time, and waits a moment for the answer to each. */
export async function malformed(port: number, count: number, seed = 1): Promise<Tally> {
  const draw = random(seed);
  const tally: Tally = {};
  let left = count;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (left-- > 0) {
      const bytes = makers[left % makers.length]!(draw);
      note(tally, await exchange(port, bytes, 2000));
    }
  }));
  return tally;
}

/** Sends bodies of `bytes` each, half of them in chunks of unknown number. */
export async function largeBodies(port: number, count: number, bytes: number): Promise<Tally> {
  const tally: Tally = {};
  const text = "x".repeat(bytes);
  for (let i = 0; i < count; i++) {
    const body = JSON.stringify({ messages: [{ role: "user", content: text }] });
    const chunked = `${CHAT}${JSON_HEADERS}transfer-encoding: chunked\r\n\r\n${
      body.length.toString(16)
    }\r\n${body}\r\n0\r\n\r\n`;
    note(tally, await exchange(port, i % 2 === 0 ? post(body) : chunked, 5000));
  }
  return tally;
}

/** Clients that ask for long streams and do not read them, for `millis`. */
export async function slowReaders(port: number, count: number, millis: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: count }, () => send(port, post(JSON.stringify(endless)))));
  await rest(millis);
  for (const connection of connections) connection.close();
}

/** Clients that ask for long answers, streamed or not, say that they will send no more, and stay for `millis`. */
export async function halfClosed(port: number, count: number, millis: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: count }, async (_, i) => {
    const connection = await send(port, post(JSON.stringify({ ...endless, stream: i % 2 === 0 })));
    await connection.closeWrite().catch(() => {});
    return connection;
  }));
  await rest(millis);
  for (const connection of connections) connection.close();
}

/** Clients that come and go, so many each second: some say nothing, some half a request, some a whole one. */
export async function storm(port: number, perSecond: number, seconds: number): Promise<Tally> {
  const tally: Tally = {};
  const whole = post(JSON.stringify(endless));
  const visits = ["", whole.slice(0, 90), whole.slice(0, -20), whole];
  const running = new Set<Promise<unknown>>();
  const started = performance.now();
  for (let i = 0; i < perSecond * seconds; i++) {
    await rest(started + i * 1000 / perSecond - performance.now());
    const visit = come(i).then(() => note(tally, "came"), (error) => note(tally, error.name));
    running.add(visit);
    visit.finally(() => running.delete(visit));
  }
  await Promise.all(running);
  return tally;

  /** Every other one stays a moment. */
  async function come(i: number): Promise<void> {
    const connection = await send(port, visits[i % visits.length]!);
    if (i % 8 >= 4) await rest(30);
    connection.close();
  }
}

/** So many prompts at once that all but fill the context. */
export async function longPrompts(port: number, count: number): Promise<Tally> {
  const tally: Tally = {};
  await Promise.all(Array.from({ length: count }, async (_, i) => {
    const draw = random(i);
    const prompt = Array.from({ length: 8000 }, () => Math.floor(draw() * 4000));
    const body = { prompt, max_tokens: 190, logit_bias: endless.logit_bias };
    const response = await postJson(port, "/v1/completions", body);
    await response.body?.cancel();
    note(tally, `${response.status}`);
  }));
  return tally;
}

/** One request as it should be, whose client reads to the end; its status. */
export async function ask(port: number): Promise<number> {
  const response = await postJson(port, "/v1/chat/completions", { ...question, stream: true });
  const text = await response.text();
  return response.status === 200 && !text.includes("[DONE]") ? 0 : response.status;
}

function postJson(port: number, path: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function send(port: number, bytes: string | Uint8Array): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  try {
    for (let sent = 0; sent < all.length;) sent += await connection.write(all.subarray(sent));
  } catch {
    // the server has heard enough: what it says to it can still be read
  }
  return connection;
}

/** The status of the reply to some bytes, or "none" if there is none within `millis`. */
async function exchange(port: number, bytes: string | Uint8Array, millis: number): Promise<string> {
  using connection = await send(port, bytes);
  const buffer = new Uint8Array(1024);
  const read = connection.read(buffer).catch(() => null);
  const size = await Promise.race([read, rest(millis).then(() => null)]);
  const reply = new TextDecoder().decode(buffer.subarray(0, size ?? 0));
  return /^HTTP\/1.[01] (\d+)/.exec(reply)?.[1] ?? "none";
}

function note(tally: Tally, what: string): void {
  tally[what] = (tally[what] ?? 0) + 1;
}

function rest(millis: number): Promise<void> {
  return millis > 0 ? new Promise((resolve) => setTimeout(resolve, millis)) : Promise.resolve();
}
