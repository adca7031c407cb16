/** How much of a prefix cache fits where. */
import { strict as assert } from "node:assert";
import { prefixCacheRoom } from "../../src/stage/size.ts";
import { mini, SOFTMAX_SIBLING } from "../model/configs.ts";

const [MIB, GIB] = [2 ** 20, 2 ** 30];
const OPTIONS = { context: 131072, kvCache: "f32" } as const;

Deno.test("prefixCacheRoom() shares bytes out to states and pages, and never takes more", () => {
  const { host, ...device } = prefixCacheRoom(mini(), OPTIONS, 512 * MIB);
  assert.deepEqual([device, host], [
    { alignment: 256, snapshots: 16, pages: 64, stateBytes: 16 * MIB, pageBytes: 4 * MIB },
    undefined,
  ]);
  const half = prefixCacheRoom(mini(), { ...OPTIONS, kvCache: "f16" }, 100 * MIB);
  assert.deepEqual([half.snapshots, half.pages, half.pageBytes], [3, 26, 2 * MIB]);
});

Deno.test("prefixCacheRoom() has 64 states on the device, each taken from the start, and any number in the host's memory", () => {
  const { snapshots, pages, host } = prefixCacheRoom(mini(), OPTIONS, 4 * GIB, 16 * GIB);
  assert.deepEqual([snapshots, pages, host], [64, 768, { states: 512, pages: 2048 }]);
  const softmax = prefixCacheRoom(mini(SOFTMAX_SIBLING), OPTIONS, 400 * MIB, 1600 * MIB);
  const { pageBytes } = softmax;
  assert.deepEqual([softmax.stateBytes, softmax.snapshots], [0, 64]);
  assert.equal(softmax.pages, Math.floor(400 * MIB / pageBytes!));
  assert.equal(softmax.host!.pages, Math.floor(1600 * MIB / pageBytes!));
});

Deno.test("prefixCacheRoom() has room for nothing in no bytes", () => {
  const { snapshots, pages } = prefixCacheRoom(mini(), OPTIONS, 0);
  assert.deepEqual([snapshots, pages], [0, 0]);
  assert.deepEqual(prefixCacheRoom(mini(), OPTIONS, MIB, MIB).host, { states: 0, pages: 0 });
});
