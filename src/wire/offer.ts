/** Whether what came from elsewhere is an offer that can be used. */
import type { Offer } from "./wire.ts";

/** Of an offer: each is dialled, so nobody is to send a member to many places. */
export const MOST_HOSTS = 32;

export function isOffer(value: unknown): value is Offer {
  const { subject, token, tcp } = (value ?? {}) as Partial<Record<keyof Offer, unknown>>;
  return typeof subject === "string" && typeof token === "string" && /^[0-9a-f]{64}$/.test(token) &&
    (tcp === null || isDirect(tcp));
}

function isDirect(value: unknown): boolean {
  const { hosts, port, sealed } = (value ?? {}) as Partial<Record<keyof NonNullable<Offer["tcp"]>, unknown>>;
  return Array.isArray(hosts) && hosts.length <= MOST_HOSTS && hosts.every((host) => typeof host === "string") &&
    Number.isInteger(port) && (port as number) > 0 && (port as number) < 2 ** 16 && typeof sealed === "boolean";
}
