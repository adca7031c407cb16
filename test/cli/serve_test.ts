/** The server as a command: who may use it, while its model is loaded, and how it stops. */
import assert from "node:assert/strict";
import type { Model } from "../../src/cli/host.ts";
import type { LoadOptions } from "../../src/mod.ts";
import { ringlet } from "./fake_host.ts";

/** A free port, as far as one can know. */
function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

Deno.test("serve answers 503 until its model is loaded, and exits 1 with the reason if it cannot be", async () => {
  const loading = Promise.withResolvers<Model>();
  const port = freePort();
  const asked = Promise.withResolvers<void>();
  const load = () => {
    asked.resolve();
    return loading.promise;
  };
  const serving = ringlet(["serve", "--port", String(port)], { host: { load } });
  await asked.promise;
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 3; i++) {
    const health = await fetch(`${url}/health`);
    assert.equal(health.status, 503);
    assert.deepEqual(await health.json(), { status: "loading" });
  }
  const body = JSON.stringify({ messages: [{ role: "user", content: "Hi" }] });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers });
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).error.code, "loading");
  loading.reject(new Error("Cannot hold layers 0-9"));
  const { code, err } = await serving;
  assert.equal(code, 1);
  assert.match(err, /Serving ring-nano at .*\n(\{.*\n)*ringlet: Cannot hold layers 0-9\n$/);
});

const refusing = { host: { load: () => Promise.reject(new Error("no model")) } };

Deno.test("serve refuses to listen to other machines without a key, unless it is told to", async () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "127.0.0.1.example.com"]) {
    const { code, err, loaded } = await ringlet(["serve", "--host", host], refusing);
    assert.equal(code, 2);
    assert.match(err, /^ringlet: Cannot listen on .* without a key, .*--allow-anonymous\n$/);
    assert.equal(loaded.length, 0);
  }
  for (const open of [["--api-key", "k"], ["--allow-anonymous"]]) {
    const { code, err } = await ringlet(["serve", "--host", "0.0.0.0", "--port", "0", ...open], refusing);
    assert.deepEqual([code, err.split("\n").at(-2)], [1, "ringlet: no model"]);
  }
  assert.equal((await ringlet(["serve", "--host", "0.0.0.0", "--api-key", ""], refusing)).code, 2);
});

Deno.test("serve takes the size of the prefix cache on the device, and in RAM if it is said", async () => {
  const sizes = async (...flags: string[]) => {
    let loaded: LoadOptions = {};
    const load = (options: LoadOptions) => {
      loaded = options;
      return Promise.reject(new Error("no model"));
    };
    const { code, err } = await ringlet(["serve", "--port", "0", ...flags], { host: { load } });
    return code === 2 ? err : [loaded.prefixCache, loaded.hostCache];
  };
  assert.deepEqual(await sizes(), [2 ** 29, undefined]);
  assert.deepEqual(await sizes("--prefix-cache", "2GiB"), [2 ** 31, undefined]);
  assert.deepEqual(await sizes("--prefix-cache", "1.5MiB,16GiB"), [1.5 * 2 ** 20, 2 ** 34]);
  assert.deepEqual(await sizes("--prefix-cache", "0,0"), [0, 0]);
  assert.match(String(await sizes("--prefix-cache", "1GiB,much")), /It must be a size like 512MiB or 2GiB, or 0\./);
  assert.match(String(await sizes("--prefix-cache", "1,2,3")), /It must be one size, or two like 512MiB,8GiB\./);
});

Deno.test("serve takes keys from its flags and from a file", async () => {
  const file = await Deno.makeTempFile();
  const asked = Promise.withResolvers<void>();
  const loading = Promise.withResolvers<Model>();
  try {
    await Deno.writeTextFile(file, "# keys\n\n  third  \nfourth\r\n");
    const port = freePort();
    const flags = ["--port", `${port}`, "--api-key", "first", "--api-key", "second", "--api-key-file", file];
    const load = () => {
      asked.resolve();
      return loading.promise;
    };
    const serving = ringlet(["serve", ...flags], { host: { load } });
    await asked.promise;
    for (const key of ["first", "second", "third", "fourth", "# keys", "fifth"]) {
      const response = await fetch(`http://127.0.0.1:${port}/v1/models`, {
        headers: { authorization: `Bearer ${key}` },
      });
      assert.equal(response.status, /#|fifth/.test(key) ? 401 : 200, key);
      await response.body?.cancel();
    }
    loading.reject(new Error("no model"));
    await serving;
    await Deno.writeTextFile(file, "# none\n");
    for (const [name, why] of [[file, /it has none, one a line/], [`${file}.no`, /there is no such file/]] as const) {
      const { code, err } = await ringlet(["serve", "--api-key-file", name], refusing);
      assert.equal(code, 1);
      assert.match(err, why);
    }
  } finally {
    await Deno.remove(file);
  }
});

/** What `load` is given. */
async function loadedBy(...flags: string[]): Promise<{ code: number; err: string; options: LoadOptions | null }> {
  let options: LoadOptions | null = null;
  const load = (given: LoadOptions) => {
    options = given;
    return Promise.reject(new Error("no model"));
  };
  const { code, err } = await ringlet(["serve", "--port", "0", ...flags], { host: { load } });
  return { code, err, options };
}

Deno.test("serve leaves it to a pool's stages how the model is computed", async () => {
  const nats = ["--nats", "nats://broker:4222"];
  const { options } = await loadedBy(...nats);
  const pool = { nats: { url: "nats://broker:4222" }, name: "default", activations: "f32", timeoutMillis: 30_000 };
  assert.deepEqual(options!.pool, { ...pool, direct: { port: 0, hosts: [] } });
  const told = [
    ...["--pool", "big", "--pool-timeout", "2.5", "--activations", "bf16", "--no-direct"],
    ...["--max-sequences", "16", "--quantize", "q8"],
  ];
  const other = (await loadedBy(...nats, ...told)).options!;
  assert.deepEqual(other.pool, { ...pool, name: "big", activations: "bf16", timeoutMillis: 2500, direct: null });
  assert.deepEqual([other.maxSequences, other.quantize], [16, "q8"]);
  for (
    const flags of [["--stages", "2"], ["--layers", "0-9"], ["--gpu", "dawn"], ["--threads", "2"], [
      "--backend",
      "wasm",
    ], [
      "--prefix-cache",
      "1GiB",
    ]]
  ) {
    const { code, err, options } = await loadedBy(...nats, ...flags);
    assert.deepEqual([code, options], [2, null]);
    assert.equal(err, `ringlet: Cannot use ${flags[0]} with --nats: each stage of the pool has its own\n`);
  }
  const without = await loadedBy("--pool", "big");
  assert.deepEqual([without.code, without.options], [2, null]);
  assert.equal(without.err, "ringlet: Cannot use --pool without --nats, the broker of a pool\n");
});

Deno.test("serve tells what a pool waits for, and /health does too, also later", async () => {
  const told = Promise.withResolvers<NonNullable<LoadOptions["onWaiting"]>>();
  const loading = Promise.withResolvers<Model>();
  const load = ({ onWaiting }: LoadOptions) => {
    told.resolve(onWaiting!);
    return loading.promise;
  };
  const port = freePort();
  const serving = ringlet(["serve", "--port", `${port}`, "--nats", "nats://broker:4222"], { host: { load } });
  const tell = await told.promise;
  const waiting = "Waiting for layers 10-19 of ring-nano in pool default";
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    return [response.status, await response.json()];
  };
  assert.deepEqual(await health(), [503, { status: "loading" }]);
  tell(waiting);
  assert.deepEqual(await health(), [503, { status: "loading", waiting_for: waiting }]);
  const answer = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
    ...{ method: "POST", headers: { "content-type": "application/json" } },
    body: JSON.stringify({ prompt: "a" }),
  });
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).error.message, `${waiting}: try again in a moment`);
  tell(null);
  assert.deepEqual(await health(), [503, { status: "loading" }]);
  loading.reject(new Error("no model"));
  assert.match((await serving).err, new RegExp(`${waiting}\n(.*\n)*All layers are there\n`));
});
