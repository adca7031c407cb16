/** Whatever a member puts into the pool, what others say of it can be read by all. */
import { strict as assert } from "node:assert";
import { refused } from "../../src/pool/control.ts";
import { type Member, readMember } from "../../src/pool/entries.ts";
import { serverKey, stageKey } from "../../src/pool/protocol.ts";
import { refusalOf } from "../../src/pool/suitable.ts";
import { exampleOffer, exampleServer, exampleStage } from "./example_entries.ts";

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

/** A server's entry with a stage that it refuses for that reason, as others read it. */
function told(reason: string): Member["kind"] | undefined {
  const server = { ...exampleServer("s"), refused: [{ id: "a", reason }] };
  return readMember(serverKey("s"), bytes(server))?.kind;
}

Deno.test("the reason why an entry is not understood can be shown, whatever the entry has", () => {
  for (const entry of ["\x1b[2Jhello", `"${"\u202e".repeat(900)}"`, "{", "\0"]) {
    const member = readMember(stageKey("a"), bytes(entry));
    assert.ok(member?.kind === "unknown" && !/[\p{Cc}\p{Cf}]/u.test(member.reason), entry);
    assert.equal(told(member.reason), "server");
  }
});

Deno.test("the reason why a stage is not taken can be shown, whatever the stage offers", () => {
  const { model } = exampleOffer("a");
  const wanted = { version: "0.1.0", model, room: null };
  for (const length of [1, 100, 101, 400]) {
    const odd = "x".repeat(length);
    for (
      const more of [{ version: odd }, { model: { ...model, ropeScaling: odd } }, { model: { ...model, decay: odd } }]
    ) {
      const member = readMember(stageKey("a"), bytes(exampleStage("a", 1, more)));
      const reason = member?.kind === "stage"
        ? refusalOf(member.entry.offer, wanted)
        : member?.kind === "unknown"
        ? member.reason
        : null;
      assert.equal(told(reason!), "server", reason!);
    }
  }
});

Deno.test("a refusal can be shown, whatever it says", () => {
  const reply = refused(`no\x07 ${"x".repeat(2000)}`);
  assert.equal(told(reply.type === "refused" ? reply.reason : ""), "server");
});
