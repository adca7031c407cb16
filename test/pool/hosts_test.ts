/** Hosts are what tests of a pool take them for: they have names and addresses, and one that is cut off is out of reach and comes back. */
import { strict as assert } from "node:assert";
import { type Host, Loopback, Namespaces, NO_HOSTS } from "./hosts.ts";

/** Gives back what it is sent, and first its name. */
const ECHO = `const listener = Deno.listen({ hostname: "0.0.0.0", port: 9000 });
console.log(Deno.hostname());
for await (const each of listener) each.readable.pipeTo(each.writable).catch(() => {});`;

function run(host: Host, ...command: string[]): Deno.ChildProcess {
  const [program, ...args] = [...host.within, ...command];
  return new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
}

async function says(process: Deno.ChildProcess): Promise<string> {
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value).trim();
}

async function echo(connection: Deno.Conn): Promise<number> {
  await connection.write(Uint8Array.of(1));
  return (await connection.read(new Uint8Array(9)))!;
}

Deno.test({
  name: NO_HOSTS === null
    ? "hosts have names and addresses, and stay connected while one is cut off"
    : `hosts (skipped: ${NO_HOSTS})`,
  ignore: NO_HOSTS !== null,
  async fn() {
    let process: Deno.ChildProcess;
    {
      await using network = await Namespaces.create();
      const [one, other] = [await network.addHost("one"), await network.addHost("other")];
      assert.notEqual(one.address, other.address);
      process = run(one, Deno.execPath(), "eval", ECHO);
      assert.equal(await says(process), "one");
      const connect =
        `using it = await Deno.connect({ hostname: "${one.address}", port: 9000 }); console.log("reached")`;
      assert.equal(await says(run(other, Deno.execPath(), "eval", connect)), "reached");

      using connection = await Deno.connect({ hostname: one.address, port: 9000 });
      assert.equal(await echo(connection), 1);
      await one.plug(false);
      let came = false;
      const late = echo(connection).then(() => came = true);
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.equal(came, false);
      await one.plug(true);
      await late;
    }
    assert.equal((await process.status).signal, "SIGKILL", "what runs on a host ends with it");
    const { stdout } = await new Deno.Command("ip", { args: ["netns", "list"] }).output();
    assert.ok(!new TextDecoder().decode(stdout).includes(`rl${Deno.pid}-`));
  },
});

Deno.test("where there are no hosts, all are this computer and none can be cut off", async () => {
  await using network = new Loopback();
  const host = await network.addHost("one");
  assert.deepEqual([host.address, host.within], ["127.0.0.1", []]);
  await assert.rejects(() => host.plug(false), /Cannot cut/);
});
