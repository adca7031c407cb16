/** Under which addresses others may reach this machine. */

/** All that lead here from outside, or the loopback's where there are none. Those of one cable only (fe80::) need its name, and are left out. */
export function ownAddresses(): string[] {
  const all = Deno.networkInterfaces().map(({ address }) => address).filter((address) => !/^fe[89ab]/i.test(address));
  const outer = all.filter((address) => !isLoopback(address));
  return outer.length > 0 ? outer : all;
}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
