/** Which links of an answer may be followed. */

const PROTOCOLS = ["http:", "https:", "mailto:"];

/** The address if it is a whole one of the web or of mail; else null, and the link stays text. */
export function safeHref(address: string): string | null {
  const url = URL.parse(address);
  return url && PROTOCOLS.includes(url.protocol) ? url.href : null;
}
