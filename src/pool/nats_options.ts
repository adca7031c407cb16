/** How a member reaches the broker: plain data, that may be sent to a worker. */

/** Secrets are read from files when the connection is made, and again whenever it is made anew. */
export interface NatsOptions {
  /** `nats://HOST:PORT`, or `tls://` where an unencrypted connection is to be refused; may name a user and a password. Several behind commas. */
  readonly url: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly tokenFile?: string;
  /** A JWT and its seed, as `nsc` writes them. */
  readonly credsFile?: string;
  /** PEM. Of who signs the broker's certificate, if the system does not know it. */
  readonly caFile?: string;
  /** PEM, together: our own certificate, where the broker asks for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
}
