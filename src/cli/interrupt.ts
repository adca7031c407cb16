/** Ctrl-C as an AbortSignal. */

/** Runs `work` with a signal that aborts on Ctrl-C, instead of the process ending at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** Whether an error says no more than that somebody ended the work. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
