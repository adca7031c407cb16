/** Says in one sentence why there is no connection to the broker, and what to do. */
import { AuthorizationError, UserAuthenticationExpiredError } from "@nats-io/nats-core";
import { expiry, FileError } from "./credentials.ts";
import type { NatsOptions } from "./nats_options.ts";
import { CertificateRefusedError, NoTlsError, NotNatsError } from "./transport.ts";

export class NoJetStreamError extends Error {}

/** Whether the broker does not, or no longer, let us in. */
export const isRefusal = (error: Error | null): boolean =>
  error instanceof UserAuthenticationExpiredError ||
  (error instanceof AuthorizationError && !/timeout/i.test(error.message));

export function connectionProblem(options: NatsOptions, error: Error | null): Error {
  if (error instanceof FileError) return error;
  return new Error(`Cannot connect to the broker at ${place(options.url)}: ${why(options, error)}`, { cause: error });
}

/** Without the password, which may have an @ itself. */
const place = (url: string): string => url.replace(/\/\/[^/]*@/g, "//");

function why(options: NatsOptions, error: Error | null): string {
  const code = (error as { readonly code?: string } | null)?.code ?? "";
  if (error instanceof NoJetStreamError) return "it has no JetStream; start nats-server with --jetstream";
  if (error instanceof NotNatsError) return "who listens there is no NATS server";
  if (error instanceof NoTlsError) return "it does not encrypt, as tls:// and the files for it ask";
  if (isRefusal(error)) return refusal(options);
  if (error === null || error instanceof AuthorizationError) return "it ended the connection";
  return ofNetwork(error, code) ?? ofTls(options, error, code) ?? error.message;
}

function refusal({ credsFile, tokenFile, user, url }: NatsOptions): string {
  if (credsFile !== undefined) {
    const end = expiry(credsFile);
    if (end === null || end > Date.now()) return `it does not take the credentials in ${credsFile}`;
    return `the credentials in ${credsFile} have expired (${new Date(end).toISOString()})`;
  }
  if (tokenFile !== undefined) return `it does not take the token in ${tokenFile}`;
  const name = user ?? decodeURIComponent(new URL(url.split(",")[0]!).username);
  if (name !== "") return `it does not take the password of user ${name}`;
  return "it lets nobody in without credentials (--nats-user, --nats-creds, --nats-token-file or --nats-cert)";
}

function ofNetwork(error: Error, code: string): string | null {
  if (code === "ECONNREFUSED") return "nobody listens there";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "there is no host of that name";
  if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return "no network leads there";
  if (error.name === "TimeoutError" || error.name === "AbortError") return "it does not answer";
  return null;
}

/** Codes as OpenSSL has them: of our own checks, and of alerts that the broker sends. */
function ofTls({ caFile, certFile, keyFile }: NatsOptions, error: Error, code: string): string | null {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "its certificate is made out for another host";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired";
  if (UNKNOWN_CA.includes(code)) {
    const known = caFile === undefined ? "whom this system knows (--nats-ca)" : `whom ${caFile} has`;
    return `its certificate is not signed by ${known}`;
  }
  if (error instanceof CertificateRefusedError || /alert/i.test(code)) {
    if (certFile === undefined) return "it asks for a certificate (--nats-cert, --nats-key)";
    return `it does not take the certificate in ${certFile}`;
  }
  if (!code.startsWith("ERR_SSL")) return null;
  return certFile === undefined ? null : `the certificate in ${certFile} and the key in ${keyFile} do not go together`;
}

const UNKNOWN_CA = [
  ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
  ...["SELF_SIGNED_CERT_IN_CHAIN", "DEPTH_ZERO_SELF_SIGNED_CERT", "CERT_UNTRUSTED", "CERT_SIGNATURE_FAILURE"],
];
