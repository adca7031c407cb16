/** Links within a thread and over ports keep the same promises. */
import { strict as assert } from "node:assert";
import { MessageChannel, Worker } from "node:worker_threads";
import { type Link, localLinks, portLink } from "../../src/pipeline/link.ts";

function portLinks<A, B>(): [Link<A, B>, Link<B, A>] {
  const { port1, port2 } = new MessageChannel();
  return [portLink(port1), portLink(port2)];
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const received: T[] = [];
  for await (const message of messages) received.push(message);
  return received;
}

for (const [name, links] of [["localLinks()", localLinks], ["portLink()", portLinks]] as const) {
  Deno.test(`${name} delivers everything in order, even what was sent just before the end`, async () => {
    const [left, right] = links<string, number>();
    const received = all(right);
    for (let i = 0; i < 100; i++) left.send(i);
    left[Symbol.dispose]();
    left.send(100);
    assert.deepEqual(await received, Array.from({ length: 100 }, (_, i) => i));
    assert.deepEqual(await all(left), []);
    right[Symbol.dispose]();
  });

  Deno.test(`${name} ends both iterations when either side is disposed`, async () => {
    for (const disposed of [0, 1]) {
      const ends = links<string, string>();
      const received = Promise.all(ends.map(all));
      ends[disposed]![Symbol.dispose]();
      assert.deepEqual(await received, [[], []]);
      ends[1 - disposed]![Symbol.dispose]();
    }
  });

  Deno.test(`${name} loses nothing when an iteration is left and taken up again`, async () => {
    const [left, right] = links<string, number>();
    for (let i = 0; i < 4; i++) left.send(i);
    for await (const message of right) if (message === 1) break;
    left[Symbol.dispose]();
    assert.deepEqual(await all(right), [2, 3]);
    right[Symbol.dispose]();
  });
}

Deno.test("localLinks() hands messages over by reference and without a macrotask", async () => {
  const [left, right] = localLinks<object, object>();
  let timer = false;
  const timeout = setTimeout(() => timer = true);
  const message = { hidden: new Float32Array(3) };
  const echo = (async () => {
    for await (const received of right) right.send(received);
  })();
  const replies = left[Symbol.asyncIterator]();
  for (let i = 0; i < 1000; i++) {
    left.send(message);
    assert.equal((await replies.next()).value, message);
  }
  assert.equal(timer, false);
  clearTimeout(timeout);
  left[Symbol.dispose]();
  await echo;
});

Deno.test("portLink() moves Float32Arrays at any depth and copies the rest", async () => {
  const [left, right] = portLinks<never, unknown>();
  const both = new Float32Array(6).fill(7);
  const message = {
    hidden: new Float32Array([1, 2]),
    candidates: { ids: new Uint32Array([3]), logits: both.subarray(0, 2), logSumExp: both.subarray(2, 6) },
    none: null,
  };
  const expected = structuredClone(message);
  left.send(message);
  left[Symbol.dispose]();
  assert.deepEqual(await all(right), [expected]);
  assert.deepEqual([message.hidden.length, both.length, message.candidates.ids.length], [0, 0, 1]);
  right[Symbol.dispose]();
});

Deno.test("portLink() refuses a tensor in shared memory, which its sender would go on writing", () => {
  const [left, right] = portLinks<never, unknown>();
  const hidden = new Float32Array(new SharedArrayBuffer(8));
  assert.throws(() => left.send({ hidden }), new TypeError("Cannot move a tensor out of shared memory: send a copy"));
  left[Symbol.dispose]();
  right[Symbol.dispose]();
});

Deno.test("portLink() refuses the web's port, which hears of no end", () => {
  const WebChannel = MessageChannel.prototype.constructor as typeof MessageChannel;
  const { port1, port2 } = new WebChannel();
  assert.throws(() => portLink(port1), TypeError);
  port1.close();
  port2.close();
});

Deno.test("portLink() ends when the thread at its other end does", async () => {
  const source = `import { parentPort } from "node:worker_threads";
    parentPort.once("message", ([how, port]) => {
      port.onmessage = () => how === "exit" && Deno.exit();
      port.postMessage("ready");
    });`;
  for (const how of ["exit", "terminate"]) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    const { port1, port2 } = new MessageChannel();
    using link = portLink<string, string>(port1);
    worker.postMessage([how, port2], [port2]);
    for await (const message of link) {
      assert.equal(message, "ready");
      link.send("go");
      if (how === "terminate") await worker.terminate();
    }
    await worker.terminate();
  }
});

Deno.test("portLink() in a worker ends when this thread disposes of its own", async () => {
  const source = `import { parentPort } from "node:worker_threads";
    import { portLink } from "${new URL("../../src/pipeline/link.ts", import.meta.url)}";
    parentPort.once("message", async (port) => {
      const received = [];
      for await (const message of portLink(port)) received.push(message);
      parentPort.postMessage(received);
    });`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const { port1, port2 } = new MessageChannel();
  const link = portLink<never, number>(port1);
  worker.postMessage(port2, [port2]);
  for (const message of [1, 2, 3]) link.send(message);
  link[Symbol.dispose]();
  assert.deepEqual(await new Promise((resolve) => worker.once("message", resolve)), [1, 2, 3]);
  await worker.terminate();
});
