/** Secrets for the broker, read from their files whenever a connection is made, as they may have been renewed. */
import { type Authenticator, credsAuthenticator } from "@nats-io/nats-core";
import type { TlsFiles } from "./channel.ts";
import type { NatsOptions } from "./nats_options.ts";

/** @throws {Error} in one sentence if a file cannot be read */
export function tlsFiles({ caFile, certFile, keyFile }: NatsOptions): TlsFiles {
  return {
    ...caFile !== undefined && { ca: read(caFile) },
    ...certFile !== undefined && { cert: read(certFile) },
    ...keyFile !== undefined && { key: read(keyFile) },
  };
}

/**
 * What shows the broker who we are, by the one way that is given.
 * @throws {Error} in one sentence if a file cannot be read
 */
export function authenticator(options: NatsOptions): Authenticator {
  let last = secrets(options);
  return (nonce) => {
    try {
      const fresh = secrets(options);
      const answer = fresh(nonce);
      last = fresh;
      return answer;
    } catch { // half-written, or gone for a moment
      return last(nonce);
    }
  };
}

function secrets({ url, user, passwordFile, tokenFile, credsFile }: NatsOptions): Authenticator {
  if (credsFile !== undefined) return credsAuthenticator(new TextEncoder().encode(credentials(credsFile)));
  if (tokenFile !== undefined) {
    const token = read(tokenFile).trim();
    return () => ({ auth_token: token });
  }
  const { username, password } = new URL(url.split(",")[0]!);
  const name = user ?? decodeURIComponent(username);
  if (name === "") return () => undefined;
  const pass = passwordFile === undefined ? decodeURIComponent(password) : read(passwordFile).trim();
  return () => ({ user: name, pass });
}

function credentials(file: string): string {
  const text = read(file);
  if (/NATS USER JWT-+\s[^-]+-[^]*USER NKEY SEED-+\s/.test(text)) return text;
  throw new FileError(`Cannot read ${file}: it has no JWT and seed, as nsc writes them`);
}

/** When credentials end, in milliseconds since 1970; null if they never do or cannot be read. */
export function expiry(credsFile: string): number | null {
  try {
    const [, payload] = /-----\s+[\w-]+\.([\w-]+)\.[\w-]+\s+-----/.exec(read(credsFile)) ?? [];
    const { exp } = JSON.parse(atob(payload!.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof exp === "number" && exp > 0 ? exp * 1000 : null;
  } catch {
    return null;
  }
}

/** @throws {Error} in one sentence if it cannot be read */
function read(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new FileError(`Cannot read ${file}: ${why}`, { cause: error });
  }
}

/** Says all that there is to say. */
export class FileError extends Error {}
