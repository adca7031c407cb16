/** Handing out models over a real broker: put, replaced, taken, interrupted, wanted by several at once, and damaged on the way. */
import { strict as assert } from "node:assert";
import { type Broker, connectBroker } from "../../src/pool/connection.ts";
import { fetchModel } from "../../src/pool/models/fetch.ts";
import type { Part } from "../../src/pool/models/fetch_files.ts";
import { ModelStoreError } from "../../src/pool/models/manifest.ts";
import { pushModel } from "../../src/pool/models/push.ts";
import { MODELS_BUCKET, ModelStore } from "../../src/pool/models/store.ts";
import { type NatsServer, testOnBroker } from "../nats_server.ts";

const PIECE = 1000;
const FILES = { "config.json": 300, "empty.txt": 0, "model.safetensors": 3500, "tokenizer.json": 2000 };
/** Pieces of them. */
const PIECES = 1 + 0 + 4 + 2;

/** A broker with a store, a folder with a model's files, and a cache. */
class World implements AsyncDisposable {
  /** Of which pieces are taken. */
  taken = 0;

  private constructor(
    readonly server: NatsServer,
    readonly broker: Broker,
    readonly store: ModelStore,
    readonly folder: string,
    readonly cache: string,
  ) {
    const { getPiece } = store;
    store.getPiece = (...piece) => {
      this.taken++;
      return getPiece.apply(store, piece);
    };
  }

  static async start(server: NatsServer): Promise<World> {
    const broker = await connectBroker({ url: server.url }, "watch");
    const store = await ModelStore.open(broker.nats, { make: true });
    const world = new World(server, broker, store, await Deno.makeTempDir(), await Deno.makeTempDir());
    await world.write(1);
    return world;
  }

  /** Other bytes for another seed. */
  async write(seed: number): Promise<void> {
    for (const [name, bytes] of Object.entries(FILES)) {
      await Deno.writeFile(
        `${this.folder}/${name}`,
        Uint8Array.from({ length: bytes }, (_, i) => i * i * seed + i + bytes),
      );
    }
  }

  push(name = "small", more: Partial<Parameters<typeof pushModel>[1]> = {}) {
    return pushModel(this.store, {
      name,
      folder: this.folder,
      files: Object.keys(FILES).map((name) => ({ name })),
      pieceBytes: PIECE,
      ...more,
    });
  }

  fetch(name = "small", more: Partial<Parameters<typeof fetchModel>[1]> = {}) {
    return fetchModel(this.store, { name, cache: this.cache, ...more });
  }

  /** Whether a folder holds these files, and nothing else. */
  async isSame(folder: string): Promise<void> {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, Object.keys(FILES));
    for (const name of names) {
      assert.deepEqual(await Deno.readFile(`${folder}/${name}`), await Deno.readFile(`${this.folder}/${name}`), name);
    }
  }

  /** Messages in the store: pieces, manifests, and their descriptions. */
  async messages(): Promise<number> {
    const answer = await this.broker.nats.request(`$JS.API.STREAM.INFO.OBJ_${MODELS_BUCKET}`);
    return answer.json<{ state: { messages: number } }>().state.messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker[Symbol.asyncDispose]();
    for (const folder of [this.folder, this.cache]) await Deno.remove(folder, { recursive: true });
  }
}

const testStore = (name: string, run: (world: World) => Promise<void>): void =>
  testOnBroker(name, async (server) => {
    await using world = await World.start(server);
    await run(world);
  });

const abortAt = (bytes: number) => {
  const controller = new AbortController();
  return { signal: controller.signal, onProgress: (done: number) => done >= bytes && controller.abort() };
};

testStore("a model is taken as it was put, by its name, and is taken once", async (world) => {
  const heard: number[] = [];
  const stored = await world.push("small", { onProgress: (done, total) => heard.push(done / total) });
  assert.deepEqual([heard.length, heard.at(-1)], [PIECES, 1]);
  assert.deepEqual({ ...stored, pushed: "" }, { name: "small", bytes: 5800, files: 4, pushed: "" });
  assert.deepEqual(await world.store.list(), [stored]);
  const folder = await world.fetch();
  assert.match(folder, /\/[0-9a-f]{16}\/small$/);
  await world.isSame(folder);
  assert.equal(world.taken, PIECES);
  assert.equal(await world.fetch(), folder);
  assert.equal(world.taken, PIECES);
});

testStore("a push that is interrupted leaves nothing, and the model that was there stays", async (world) => {
  await assert.rejects(world.push("small", abortAt(2000)), { name: "AbortError" });
  assert.deepEqual(await world.store.list(), []);
  assert.deepEqual(await world.store.pieces("small", { butOf: "" }), []);
  await world.push();
  const folder = await world.fetch();
  await assert.rejects(world.push("small", abortAt(2000)), { name: "AbortError" });
  assert.equal(await world.fetch(), folder);
});

testStore("a model that is pushed again is another one, and the pieces of the one before are gone", async (world) => {
  await world.push();
  const before = await world.fetch();
  await world.push(); // the same once more, which need not be taken again
  assert.deepEqual([await world.fetch(), world.taken], [before, PIECES]);
  const messages = await world.messages();
  await world.write(3);
  await world.push();
  const folder = await world.fetch();
  assert.notEqual(folder, before);
  await world.isSame(folder);
  assert.equal((await world.store.list()).length, 1);
  assert.equal(await world.messages(), messages);
  await world.push("small2");
  await world.isSame(await world.fetch("small2"));
  await world.isSame(await world.fetch("small"));
});

testStore("of two who push one model the first has it, and the other is told", async (world) => {
  const { publish } = world.store;
  world.store.publish = async (...manifest) => {
    world.store.publish = publish;
    await world.push("small", { files: [{ name: "config.json" }] });
    await publish.apply(world.store, manifest);
  };
  await assert.rejects(world.push(), { name: "ModelStoreError", message: /somebody else has pushed it meanwhile/ });
  assert.deepEqual((await world.store.list()).map(({ files }) => files), [1]);
  assert.deepEqual([...Deno.readDirSync(await world.fetch())].map(({ name }) => name), ["config.json"]);
  assert.equal((await world.store.pieces("small", { butOf: "" })).length, 1);
});

testStore("a fetch that was interrupted goes on, and what was damaged meanwhile is fetched again", async (world) => {
  await world.push();
  await assert.rejects(world.fetch("small", abortAt(3300)), { name: "AbortError" });
  assert.equal(world.taken, 4);
  const [above] = [...Deno.readDirSync(world.cache)];
  const unfinished = `${world.cache}/${above!.name}/unfinished/model.safetensors`;
  {
    using file = await Deno.open(unfinished, { write: true });
    await file.seek(1500, Deno.SeekMode.Start);
    await file.write(new Uint8Array([1, 2, 3]));
  }
  const heard: number[] = [];
  await world.isSame(await world.fetch("small", { onProgress: (done) => heard.push(done) }));
  assert.equal(world.taken, 4 + 3 + 1); // those that were not there, and the damaged one
  assert.equal(heard.at(-1), 5800);
});

const WEIGHTS = "model.safetensors";
const withExtracts = {
  files: Object.keys(FILES).map((name) => ({
    name,
    ...(name === WEIGHTS && { extracts: [{ start: 0, end: 10 }, { start: 1500, end: 1507 }] }),
  })),
};
const part = (...ranges: readonly (readonly [start: number, end: number])[]): Part => ({
  name: `part-${ranges.join("-")}`,
  async ranges(folder) {
    assert.equal((await Deno.stat(`${folder}/config.json`)).size, FILES["config.json"]); // what they are told from
    assert.equal((await Deno.stat(`${folder}/${WEIGHTS}`)).size, FILES[WEIGHTS]);
    return ranges.map(([start, end]) => ({ file: WEIGHTS, start, end }));
  },
});

testStore("of a part of a model the pieces that it needs are taken, and the extracts of the others", async (world) => {
  await world.push("small", withExtracts);
  const weights = await Deno.readFile(`${world.folder}/${WEIGHTS}`);
  const fetched = async (part: Part) => await Deno.readFile(`${await world.fetch("small", { part })}/${WEIGHTS}`);
  const expected = (...whole: readonly (readonly [number, number])[]) => {
    const bytes = new Uint8Array(weights.length);
    for (const [start, end] of [[0, 10], [1500, 1507], ...whole] as const) {
      bytes.set(weights.subarray(start, end), start);
    }
    return bytes;
  };
  assert.deepEqual(await fetched(part()), expected());
  assert.equal(world.taken, 3); // config.json and tokenizer.json
  assert.deepEqual(await fetched(part([2990, 3010])), expected([2000, 3500]));
  assert.equal(world.taken, 3 + 3 + 2);
  assert.deepEqual(await fetched(part([999, 1000], [10, 20])), expected([0, 1000]));
  await world.isSame(await world.fetch());
  const taken = world.taken;
  await world.isSame(await world.fetch("small", { part: part([0, 7]) })); // the whole one does for all
  assert.equal(world.taken, taken);
});

testStore("a part that was interrupted goes on", async (world) => {
  await world.push("small", withExtracts);
  const wanted = part([1000, 3500]);
  await assert.rejects(world.fetch("small", { part: wanted, ...abortAt(1000) }), { name: "AbortError" });
  assert.equal(world.taken, 4);
  const heard: number[] = [];
  await world.fetch("small", { part: wanted, onProgress: (done, total) => heard.push(done, total) });
  assert.equal(world.taken, 6);
  assert.deepEqual(heard, [1000, 2500, 2000, 2500, 2500, 2500]);
});

testStore("a file that somebody has taken out of a fetched model is fetched again", async (world) => {
  await world.push();
  const folder = await world.fetch();
  await Deno.remove(`${folder}/config.json`);
  await world.isSame(await world.fetch());
  assert.equal(world.taken, PIECES + 1);
});

testStore("several who want one model at once fetch it once", async (world) => {
  await world.push();
  const folders = await Promise.all([1, 2, 3, 4].map(() => world.fetch()));
  assert.equal(new Set(folders).size, 1);
  await world.isSame(folders[0]!);
  assert.equal(world.taken, PIECES);
});

testStore("a piece that is not what its hash says is not written, and the model does not appear", async (world) => {
  await world.push();
  const manifest = await world.store.find("small");
  const piece = { file: "model.safetensors", index: 2, start: 2000, bytes: PIECE };
  await world.store.putPiece(manifest, piece, new Uint8Array(PIECE).fill(7));
  await assert.rejects(world.fetch(), (error: Error) => {
    assert.ok(error instanceof ModelStoreError);
    assert.match(
      error.message,
      /^Cannot fetch model\.safetensors of model small, piece 3: its sha256 is [0-9a-f]{64}, and should be [0-9a-f]{64}; push the model again$/,
    );
    return true;
  });
  const [above] = [...Deno.readDirSync(world.cache)];
  const left = `${world.cache}/${above!.name}`;
  assert.deepEqual([...Deno.readDirSync(left)].map(({ name }) => name).sort(), ["lock", "unfinished"]);
  assert.ok(!(await Deno.readFile(`${left}/unfinished/model.safetensors`)).subarray(2000, 3000).includes(7, 900));
});

testStore("a model that is replaced while it is taken is not taken", async (world) => {
  await world.push();
  const { getPiece } = world.store;
  world.store.getPiece = async (...piece) => {
    if (world.taken === 2) await world.write(5).then(() => world.push());
    return await getPiece.apply(world.store, piece);
  };
  await assert.rejects(world.fetch(), { name: "ModelStoreError", message: /not in the store any more; .* try again$/ });
  await world.isSame(await world.fetch());
});

testStore("a broker that starts again while a model is taken is waited for", async (world) => {
  await world.push();
  const { getPiece } = world.store;
  let restarted: Promise<void> | null = null;
  world.store.getPiece = async (...piece) => {
    if (world.taken === 3) await (restarted ??= world.server.restart());
    return await getPiece.apply(world.store, piece);
  };
  await world.isSame(await world.fetch());
  assert.ok(restarted !== null);
});

testStore("models that are not there, and names that could mean something else, are refused", async (world) => {
  await assert.rejects(world.fetch("none"), { name: "ModelStoreError", message: /The broker has no model none/ });
  for (const name of ["../up", "a/b", "", ".hidden", "a\\b", "x".repeat(101), "a\n", "a."]) {
    await assert.rejects(world.fetch(name), { name: "ModelStoreError", message: /^Cannot use ".*" as a model's name/ });
    await assert.rejects(world.push(name), { name: "ModelStoreError", message: /^Cannot use ".*" as a model's name/ });
  }
  for (const file of ["../config.json", ".env", "a/b"]) {
    await assert.rejects(world.push("small", { files: [{ name: file }] }), { name: "ModelStoreError" });
  }
  await world.broker.nats.request("$JS.API.STREAM.DELETE.OBJ_ringlet_models");
  await assert.rejects(ModelStore.open(world.broker.nats), {
    name: "ModelStoreError",
    message: /The broker has no models/,
  });
});
