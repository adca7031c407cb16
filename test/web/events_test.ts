import assert from "node:assert/strict";
import fc from "fast-check";
import { eventData } from "../../web/api/events.ts";

const bytes = (text: string, cuts: readonly number[] = []) => {
  const all = new TextEncoder().encode(text);
  const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b);
  return ReadableStream.from([0, ...places].map((from, at) => all.slice(from, places[at] ?? all.length)));
};

Deno.test("events arrive whole, however the bytes are cut", async () => {
  const text = 'data: {"a":"é😀"}\n\n: keep-alive\n\ndata:two\r\ndata: lines\r\n\r\nevent: x\n\ndata: [DONE]\n\n';
  await fc.assert(fc.asyncProperty(fc.array(fc.nat()), async (cuts) => {
    const found = await Array.fromAsync(eventData(bytes(text, cuts)));
    assert.deepEqual(found, ['{"a":"é😀"}', "two\nlines", "[DONE]"]);
  }));
});

Deno.test("an event that is cut off is none", async () => {
  assert.deepEqual(await Array.fromAsync(eventData(bytes("data: a\n\ndata: b"))), ["a"]);
});
