/** Which stages a server takes, and for what its engine has room with them. */
import { strict as assert } from "node:assert";
import { engineRoom, keptLogits } from "../../src/pool/engine_room.ts";
import type { ModelIdentity, StageCapacity } from "../../src/pool/protocol.ts";
import { leastRoom, refusalOf } from "../../src/pool/suitable.ts";
import { exampleOffer } from "./example_entries.ts";

const { model, capacity, info } = exampleOffer("a");
const room = { ...capacity, slots: 1 };
const wanted = { version: "0.1.0", model, room };

Deno.test("refusalOf() takes a stage of the same model that has room enough", () => {
  assert.equal(refusalOf(exampleOffer("a"), wanted), null);
  assert.equal(
    refusalOf(exampleOffer("a", { capacity: { ...capacity, slots: 9, context: 600, pages: 99 } }), wanted),
    null,
  ); // deno-fmt-ignore
  assert.equal(refusalOf(exampleOffer("a", { capacity: { ...capacity, context: 1 } }), { ...wanted, room: null }), null);
});

Deno.test("refusalOf() says why it does not take a stage", () => {
  const other = (change: Partial<ModelIdentity>) => exampleOffer("a", { model: { ...model, ...change } });
  const less = (change: Partial<StageCapacity>) => exampleOffer("a", { capacity: { ...capacity, ...change } });
  const cases = [
    [exampleOffer("a", { version: "0.2.0" }), "It runs Ringlet 0.2.0, this server 0.1.0"],
    [
      other({ hash: "cd".repeat(32) }),
      "It has another model: its hash is cdcdcdcdcdcd, this server's abababababab",
    ],
    [other({ quantize: "q4" }), "It was started with --quantize q4, this server with none"],
    [other({ kvCache: "f16" }), "It was started with --kv-cache f16, this server with f32"],
    [other({ decay: "hf" }), "It was started with --decay hf, this server with serving"],
    [other({ ropeScaling: "yarn:4" }), "It was started with --rope-scaling yarn:4, this server with none"],
    [less({ slots: 0 }), "It has room for 0 sequences, this server needs 1"],
    [less({ context: 511 }), "It has room for 511 tokens of a sequence, this server needs 512"],
    [less({ maxRows: 1 }), "It has room for 1 rows of a step, this server needs 256"],
    [less({ pages: 3 }), "It has room for 3 pages of keys and values, this server needs 4"],
    [less({ snapshots: 0 }), "It has room for 0 states of the prefix cache, this server needs 4"],
    [less({ keptLogits: 2 }), "It has room for 2 steps' logits, this server needs 3"],
    [less({ alignment: 512 }), "Its pages have 512 positions, those of this server's stages 256"],
  ] as const;
  for (const [offer, reason] of cases) assert.equal(refusalOf(offer, wanted), reason);
});

Deno.test("leastRoom() is what all stages have, and no more than the server wants", () => {
  const stages = [
    exampleOffer("a", { capacity: { ...capacity, slots: 8, context: 400, pages: 30 } }),
    exampleOffer("b", { capacity: { ...capacity, slots: 4, snapshots: 2, keptLogits: 9 } }),
  ];
  const least = { ...capacity, slots: 4, context: 400, snapshots: 2, pages: 4 };
  assert.deepEqual(leastRoom(stages, { slots: 99, context: Infinity }), least);
  assert.deepEqual(leastRoom(stages, { slots: 3, context: 100 }), { ...least, slots: 3, context: 100 });
  const narrow = [exampleOffer("a", { capacity: { ...capacity, slots: 8, maxRows: 6 } })];
  assert.equal(leastRoom(narrow, { slots: 99, context: Infinity }).slots, 6, "all of them decode in one step");
});

Deno.test("engineRoom() leaves to the prefix cache what slots of that length do not need", () => {
  const stages = [info, { ...info, decodeRows: 32 }, { ...info, decodeRows: 48 }];
  const { prefixCache, ...limits } = engineRoom({ room: { ...capacity, slots: 3, context: 300, pages: 20 }, stages });
  assert.deepEqual(prefixCache, { alignment: 256, snapshots: 4, pages: 20 - 3 * 2 });
  assert.deepEqual([limits.slots, limits.context, limits.devices, limits.decodeRows], [3, 300, 3, 32]);
});

Deno.test("keptLogits() counts the parts of steps on all routes that share a last stage", () => {
  const kept = (count: number, stages: number, sharing: number) =>
    keptLogits({ ...capacity, keptLogits: count }, stages, sharing);
  assert.deepEqual([kept(0, 4, 1), kept(1, 4, 1), kept(3, 4, 1), kept(9, 4, 1)], [0, 1, 3, 3]);
  assert.deepEqual([kept(0, 4, 2), kept(3, 4, 2), kept(6, 4, 2), kept(7, 4, 2), kept(8, 4, 3)], [0, 1, 2, 3, 2]);
});
