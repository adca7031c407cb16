/** An operator with one account, and credentials for its users, as `nsc` makes them: signed tokens of the NATS server's own kind. */
import { createHash } from "node:crypto";
import { nkeys } from "@nats-io/nats-core";

type KeyPair = ReturnType<typeof nkeys.createUser>;

const base64 = (bytes: Uint8Array): string => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
const encode = (value: unknown): string => base64(new TextEncoder().encode(JSON.stringify(value)));
const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const UNLIMITED = { subs: -1, data: -1, payload: -1 };

export class Operator {
  readonly #operator = nkeys.createOperator();
  readonly #system = nkeys.createAccount();
  readonly #account = nkeys.createAccount();

  /** Of a nats-server that lets in whom this operator vouches for. */
  get config(): string {
    const account = (key: KeyPair, name: string, limits: object) =>
      `${key.getPublicKey()}: "${sign(this.#operator, key, name, { type: "account", version: 2, limits })}"`;
    const plain = { ...UNLIMITED, conn: -1, leaf: -1, imports: -1, exports: -1 };
    const storing = { ...plain, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
    return [
      `operator: "${sign(this.#operator, this.#operator, "operator", { type: "operator", version: 2 })}"`,
      `system_account: ${this.#system.getPublicKey()}`,
      `resolver: MEMORY`,
      `resolver_preload { ${account(this.#system, "system", plain)}, ${account(this.#account, "pool", storing)} }`,
    ].join("\n");
  }

  /** @param seconds From now until they expire. */
  credentials(seconds: number): string {
    const user = nkeys.createUser();
    const claims = { ...UNLIMITED, type: "user", version: 2 };
    const token = sign(this.#account, user, "stage", claims, nowSeconds() + seconds);
    const seed = new TextDecoder().decode(user.getSeed());
    return `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  }
}

function sign(issuer: KeyPair, subject: KeyPair, name: string, nats: object, exp?: number): string {
  const claims = {
    iat: nowSeconds() - 60,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats,
    ...exp && { exp },
  };
  const jti = createHash("sha256").update(JSON.stringify(claims)).digest("hex");
  const signed = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode({ jti, ...claims })}`;
  return `${signed}.${base64(issuer.sign(new TextEncoder().encode(signed)))}`;
}
