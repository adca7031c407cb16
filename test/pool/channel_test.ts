/** Channels to the broker: bytes both ways, and no end by the signal that only their dialling may be ended by. */
import { strict as assert } from "node:assert";
import { PlainChannel, TlsChannel } from "../../src/pool/channel.ts";

for (const Channel of [PlainChannel, TlsChannel]) {
  Deno.test(`${Channel.name} goes on when the time for dialling is over, and ends when the other side does`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const dialling = new AbortController();
    const [channel, other] = await Promise.all([
      Channel.dial("127.0.0.1", listener.addr.port, dialling.signal),
      listener.accept(),
    ]);
    dialling.abort();
    for (let i = 0; i < 3; i++) {
      channel.write(Uint8Array.of(i, i + 1));
      const heard = new Uint8Array(9);
      assert.equal(await other.read(heard), 2);
      await other.write(heard.subarray(0, 2));
      assert.deepEqual(await channel.read(), Uint8Array.of(i, i + 1));
    }
    other.close();
    assert.equal(await channel.read(), null);
    channel.close();
  });

  Deno.test(`${Channel.name} is not dialled for longer than its signal lets it`, async () => {
    const dialling = new AbortController();
    const dial = Channel.dial("192.0.2.1", 9, dialling.signal); // TEST-NET-1, where nobody is
    setTimeout(() => dialling.abort(), 50);
    await assert.rejects(dial);
  });
}
