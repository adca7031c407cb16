/** Who is not let in by the broker hears why in one sentence, and what goes between members who are is as well protected. */
import { strict as assert } from "node:assert";
import { connectBroker } from "../../src/pool/connection.ts";
import type { NatsOptions } from "../../src/pool/nats_options.ts";
import { NatsServer, NO_NATS } from "../nats_server.ts";
import { BYTES, ended, hop, Member } from "../wire/member.ts";
import { Certificates, NO_OPENSSL } from "./certificates.ts";
import { Operator } from "./jwt.ts";

const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: (NO_NATS ?? NO_OPENSSL) !== null, fn });

/** The sentence that it fails with. */
async function refusal(options: NatsOptions): Promise<string> {
  const error = await connectBroker(options, "stage").then(async (broker) => {
    await broker[Symbol.asyncDispose]();
    return new Error("it was let in");
  }, (error: Error) => error);
  assert.ok(!error.message.includes("\n"));
  return error.message.replace(/^Cannot connect to the broker at \S+: /, "");
}

function makeCertificates(): Certificates {
  const made = new Certificates();
  for (const authority of ["ours", "others"]) made.authority(authority);
  made.issue("broker", "ours", "IP:127.0.0.1");
  made.issue("elsewhere", "ours", "DNS:localhost,IP:127.0.0.2");
  made.issue("member", "ours", "DNS:member");
  made.issue("stranger", "others", "DNS:member");
  return made;
}

const mutualTls = (made: Certificates, name = "broker"): string =>
  `tls { cert_file: "${made.certFile(name)}", key_file: "${made.keyFile(name)}", ca_file: "${
    made.certFile("ours")
  }", verify: true }`;

test("members with certificates talk over TLS and sealed connections, and by way of the broker", async () => {
  using made = makeCertificates();
  await using server = await NatsServer.start(mutualTls(made));
  const files = { caFile: made.certFile("ours"), certFile: made.certFile("member"), keyFile: made.keyFile("member") };
  for (const kind of ["tcp", "nats"] as const) {
    await using a = await Member.join({ url: server.url.replace("nats:", "tls:"), ...files }, kind);
    await using b = await Member.join({ url: server.url, ...files }, kind);
    assert.ok(a.broker.secure && b.broker.secure);
    const { inbound, outbound } = await hop(a, b);
    assert.equal(outbound.transport, kind);
    assert.notEqual(inbound.offer.tcp?.sealed, false);
    const frame = new Uint8Array(2_000_000).map((_, i) => i & 255);
    outbound.link.send(frame);
    outbound.link[Symbol.dispose]();
    assert.deepEqual(await ended(inbound.link), [frame]);
  }
});

test("a member does not send in the clear what its broker encrypts", async () => {
  using made = makeCertificates();
  await using server = await NatsServer.start(mutualTls(made));
  const files = { caFile: made.certFile("ours"), certFile: made.certFile("member"), keyFile: made.keyFile("member") };
  await using a = await Member.join({ url: server.url, ...files });
  await using b = await Member.join({ url: server.url, ...files });
  const { offer } = await b.wire.receive(BYTES);
  const outbound = await a.wire.connect({ ...offer, tcp: { ...offer.tcp!, sealed: false } }, BYTES);
  assert.equal(outbound.transport, "nats");
});

test("what is wrong with certificates is said", async () => {
  using made = makeCertificates();
  const ours = { caFile: made.certFile("ours") };
  const member = { ...ours, certFile: made.certFile("member"), keyFile: made.keyFile("member") };
  const stranger = { ...ours, certFile: made.certFile("stranger"), keyFile: made.keyFile("stranger") };
  {
    await using server = await NatsServer.start(mutualTls(made));
    const why = (options: Omit<NatsOptions, "url">) => refusal({ url: server.url, ...options });
    assert.equal(await why(ours), "it asks for a certificate (--nats-cert, --nats-key)");
    assert.equal(await why(stranger), `it does not take the certificate in ${stranger.certFile}`);
    assert.equal(
      await why({ ...member, caFile: made.certFile("others") }),
      `its certificate is not signed by whom ${made.certFile("others")} has`,
    );
    assert.equal(await why({}), "its certificate is not signed by whom this system knows (--nats-ca)");
    assert.equal(
      await why({ ...member, keyFile: stranger.keyFile }),
      `the certificate in ${member.certFile} and the key in ${stranger.keyFile} do not go together`,
    );
    assert.equal(await why({ caFile: "/no/such/file" }), "Cannot read /no/such/file: there is no such file");
  }
  {
    await using server = await NatsServer.start(mutualTls(made, "elsewhere"));
    assert.equal(await refusal({ url: server.url, ...member }), "its certificate is made out for another host");
  }
  await using server = await NatsServer.start();
  assert.equal(await refusal({ url: server.url, ...ours }), "it does not encrypt, as tls:// and the files for it ask");
});

test("wrong, missing and expired secrets are told apart, and no password is shown", async () => {
  const folder = await Deno.makeTempDir();
  const file = (name: string, text: string) => (Deno.writeTextFileSync(`${folder}/${name}`, text), `${folder}/${name}`);
  const wrong = file("wrong", "guess\n");
  {
    await using server = await NatsServer.start("authorization { user: ring, password: secret }");
    const url = server.url;
    await using _broker = await connectBroker({ url, user: "ring", passwordFile: file("right", "secret\n") }, "stage");
    const message = await refusal({ url: url.replace("//", "//ring:guess@") });
    assert.equal(message, "it does not take the password of user ring");
    assert.equal(await refusal({ url, user: "ring", passwordFile: wrong }), message);
    assert.match(await refusal({ url }), /^it lets nobody in without credentials/);
  }
  {
    await using server = await NatsServer.start("authorization { token: secret }");
    assert.equal(await refusal({ url: server.url, tokenFile: wrong }), `it does not take the token in ${wrong}`);
  }
  const operator = new Operator();
  await using server = await NatsServer.start(operator.config);
  const expired = file("expired.creds", operator.credentials(-5));
  assert.match(
    await refusal({ url: server.url, credsFile: expired }),
    /^the credentials in \S+expired\.creds have expired \(20\d\d-[^)]+Z\)$/,
  );
  const foreign = file("foreign.creds", new Operator().credentials(60));
  assert.equal(
    await refusal({ url: server.url, credsFile: foreign }),
    `it does not take the credentials in ${foreign}`,
  );
  const none = await connectBroker({ url: server.url, credsFile: wrong }, "stage").catch((error) => error.message);
  assert.equal(none, `Cannot read ${wrong}: it has no JWT and seed, as nsc writes them`);
  await Deno.remove(folder, { recursive: true });
});

test("credentials that expire end the connection, and it comes back with new ones in their file", async () => {
  const operator = new Operator();
  await using server = await NatsServer.start(operator.config);
  const credsFile = await Deno.makeTempFile();
  await Deno.writeTextFile(credsFile, operator.credentials(5));
  await using broker = await connectBroker({ url: server.url, credsFile }, "stage");
  await until(() => broker.trouble !== null && /have expired/.test(broker.trouble));
  assert.equal(broker.upSince, null);
  await Deno.writeTextFile(credsFile, operator.credentials(60));
  await until(() => broker.upSince !== null);
  assert.equal(broker.trouble, null);
  await Deno.remove(credsFile);
});

test("a broker that is not there, is none, or has no JetStream is told apart", async () => {
  assert.equal(await refusal({ url: "nats://127.0.0.1:1" }), "nobody listens there");
  assert.equal(await refusal({ url: "nats://no.such.host.invalid" }), "there is no host of that name");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.accept().then(async (connection) => {
    await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    connection.close();
  });
  assert.equal(await refusal({ url: `nats://127.0.0.1:${listener.addr.port}` }), "who listens there is no NATS server");
  const accounts = "accounts { plain { users: [{ user: ring, password: secret }] } }";
  await using server = await NatsServer.start(accounts);
  const url = server.url.replace("//", "//ring:secret@");
  assert.equal(await refusal({ url }), "it has no JetStream; start nats-server with --jetstream");
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50));
}
