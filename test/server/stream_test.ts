/** Answers on a real connection: what a client sees while it waits, and what becomes of them when it does not read or is gone. */
import assert from "node:assert/strict";
import { Traffic } from "../../src/server/traffic.ts";
import { ask, chatBody, endless, rawPost, receive, send, serveLive, slowly, until } from "./live_server.ts";
import { content, finish, forever } from "./scripted_model.ts";

const answer = [content("Hello"), finish];

Deno.test("a stream begins before its first delta, and says that it is there while a long prompt is read", async () => {
  await using server = await serveLive(slowly(700, answer), { traffic: new Traffic({ keepAlive: 50 }) });
  const started = performance.now();
  const response = await ask(server.url, true);
  const begun = performance.now() - started;
  assert.equal(response.status, 200);
  assert.ok(begun < 600, `the headers came after ${begun} ms`);
  const text = await response.text();
  assert.ok(text.startsWith("data: {"), text);
  const comments = text.split("\n\n").filter((event) => event.startsWith(":"));
  assert.ok(comments.length >= 3, text);
  assert.ok(comments.every((comment) => comment === ": keep-alive"));
  assert.match(text, /"content":"Hello"[^]*data: \[DONE\]\n\n$/);
  assert.equal(server.entries[0]?.status, 200);
});

Deno.test("a client that does not read is cut after a time, and its generation with it", async () => {
  const script = () => endless(content("x".repeat(100_000)));
  await using server = await serveLive(script, { traffic: new Traffic({ stall: 300 }) });
  using _idle = await send(server.port, rawPost(chatBody(true)));
  await until(() => server.model.running === 1, "the generation");
  await until(() => server.entries.length === 1, "the end of the request");
  assert.equal(server.entries[0]?.status, 499);
  assert.match(`${server.entries[0]?.error}`, /did not read for 0.3 s/);
  assert.deepEqual([server.model.running, server.traffic.running], [0, 0]);
});

Deno.test("a client that reads slowly, but does, gets everything", async () => {
  const text = "x".repeat(300_000);
  const script = [...Array.from({ length: 40 }, () => content(text)), finish];
  await using server = await serveLive(script, { traffic: new Traffic({ stall: 1000 }) });
  using connection = await send(server.port, rawPost(chatBody(true)));
  let read = 0, last = "";
  while (!last.endsWith("[DONE]\n\n\r\n0\r\n\r\n")) {
    const part = await receive(connection);
    if (part === "") break;
    read += part.length;
    last = (last + part).slice(-100);
    if (read < 3e6) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(read > 40 * text.length, `${read} characters, then ${last}`);
  assert.equal(server.entries[0]?.status, 200);
});

const ways: Record<string, (connection: Deno.TcpConn) => unknown> = {
  closes: (connection) => connection.close(),
  "half-closes": (connection) => connection.closeWrite(),
};

for (const [does, leave] of Object.entries(ways)) {
  for (const stream of [true, false]) {
    Deno.test(`a client that ${does} ends its ${stream ? "stream" : "unstreamed answer"}, logged as 499`, async () => {
      await using server = await serveLive([content("a"), forever]);
      const connection = await send(server.port, rawPost(chatBody(stream, "long ".repeat(2000))));
      await until(() => server.model.running === 1, "the generation");
      if (stream) assert.match(await receive(connection), /200 OK/);
      leave(connection);
      await until(() => server.model.running === 0, "its end");
      await until(() => server.entries.length === 1 && server.traffic.running === 0, "the end of the request");
      assert.deepEqual([server.entries[0]?.status, server.model.cut], [499, 1]);
      if (does === "half-closes") connection.close();
    });
  }
}

Deno.test("a client that leaves before the first delta ends the generation", async () => {
  await using server = await serveLive([forever]);
  for (const millis of [20, 200]) { // before and after the headers
    const connection = await send(server.port, rawPost(chatBody(true)));
    await until(() => server.model.running === 1, "the generation");
    await new Promise((resolve) => setTimeout(resolve, millis));
    connection.close();
    await until(() => server.model.running === 0 && server.traffic.running === 0, "its end");
  }
  assert.deepEqual(server.entries.map(({ status }) => status), [499, 499]);
});

Deno.test("a body that does not come in time gets 408, one that breaks off is forgotten", async () => {
  await using server = await serveLive(answer, { traffic: new Traffic({ body: 200 }) });
  using slow = await send(server.port, rawPost('{"messages":', 5000));
  const reply = await receive(slow);
  assert.match(reply, /^HTTP\/1.1 408 /);
  assert.match(reply, /did not come within 0.2 s/);
  (await send(server.port, rawPost('{"messages":', 5000))).close();
  await until(() => server.entries.length === 2, "the second request's end");
  assert.equal(server.entries[1]?.status, 499);
  assert.equal((await (await ask(server.url, false)).json()).choices[0].message.content, "Hello");
});

Deno.test("an answer that takes longer than allowed ends with 504, in a stream as its last event", async () => {
  await using server = await serveLive([content("a"), forever], { traffic: new Traffic({ answer: 200 }) });
  const whole = await ask(server.url, false);
  assert.deepEqual([whole.status, (await whole.json()).error.code], [504, "timeout"]);
  const stream = await ask(server.url, true);
  assert.equal(stream.status, 200);
  const events = (await stream.text()).trim().split("\n\n");
  assert.equal(JSON.parse(events.at(-1)!.slice("data: ".length)).error.code, "timeout");
  assert.deepEqual(server.entries.map(({ status }) => status), [504, 504]);
  assert.equal(server.model.running, 0);
});

Deno.test("a server that drains refuses what is new, lets answers end, and ends those that take too long", async () => {
  let go = () => {};
  const released = new Promise<void>((resolve) => go = resolve);
  const script = (question: string) =>
    question === "wait" ? [() => released.then(() => content("late")), finish] : [forever];
  await using server = await serveLive(script);
  const ended = ask(server.url, true, { body: chatBody(true, "wait") }).then((response) => response.text());
  const cut = ask(server.url, false, { body: chatBody(false, "for ever") });
  await until(() => server.model.running === 2, "both generations");
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  const drained = server.traffic.drain(400);
  const health = await fetch(`${server.url}/health`);
  assert.deepEqual([health.status, await health.json()], [503, { status: "draining" }]);
  assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
  for (const stream of [true, false]) {
    const refused = await ask(server.url, stream);
    assert.deepEqual([refused.status, (await refused.json()).error.code], [503, "draining"]);
    assert.equal(refused.headers.get("retry-after"), "2");
  }
  go();
  assert.match(await ended, /"content":"late"[^]*\[DONE\]/);
  assert.equal(server.traffic.running, 1);
  const last = await cut;
  assert.deepEqual([last.status, (await last.json()).error.code], [503, "draining"]);
  await drained;
  assert.equal(server.traffic.running, 0);
});

Deno.test("connections that say nothing, half their headers or nothing more are closed after a time", async () => {
  await using server = await serveLive(answer, { traffic: new Traffic({ headers: 300, idle: 300 }) });
  const encoder = new TextEncoder();
  for (
    const [said, reply] of [["", /^HTTP\/1.1 408 /], ["GET / HT", /^HTTP\/1.1 408 /], [
      "GET /health HTTP/1.1\r\nhost: a\r\n\r\n",
      /^HTTP\/1.1 200 /,
    ]] as const
  ) {
    using connection = await send(server.port, encoder.encode(said));
    assert.match(await receive(connection), reply);
    while (await receive(connection) !== "");
  }
});

Deno.test("requests that no Request can be get 400, and HEAD gets no body", async () => {
  await using server = await serveLive(answer);
  for (
    const line of ["TRACE / HTTP/1.1\r\nhost: a", "GET / HTTP/1.1\r\nhost: a b", "GET http://[ HTTP/1.1\r\nhost: a"]
  ) {
    using connection = await send(server.port, new TextEncoder().encode(`${line}\r\n\r\n`));
    assert.match(await receive(connection), /^HTTP\/1.1 400 /, line);
  }
  const head = await fetch(`${server.url}/health`, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  assert.equal((await fetch(`${server.url}/health`)).headers.get("content-length"), "15");
});
