/** Ctrl-C and its kind, for a server: the first lets it end in order, the second ends it. */

/** Calls `stop` at the first signal; a second one ends the process. */
export function onStopSignals(stop: () => void): Disposable {
  let stopping = false;
  const heard = () => {
    if (stopping) Deno.exit(130);
    stopping = true;
    stop();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, heard);
  return {
    [Symbol.dispose]: () => {
      for (const signal of signals) Deno.removeSignalListener(signal, heard);
    },
  };
}
