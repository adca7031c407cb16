/** The name of a stage or a server among the members of its pool. */
import { randomBytes } from "node:crypto";

/** New at every start, and told apart by people: `box2-3f9a1c04`. */
export function newMemberId(host: string): string {
  const name = host.split(".")[0]!.replace(/[^A-Za-z0-9-]/g, "").slice(0, 40) || "host";
  return `${name}-${randomBytes(4).toString("hex")}`;
}
