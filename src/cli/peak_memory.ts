/** How much of the host's memory the process has held at most. */

/** Bytes resident at the same time, as Linux counts them (VmHWM); null elsewhere. */
export function peakMemory(): number | null {
  if (Deno.build.os !== "linux") return null;
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
  return kibibytes === undefined ? null : 1024 * Number(kibibytes);
}
