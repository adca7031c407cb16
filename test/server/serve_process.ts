/** `ringlet serve` with the embedded model as a process of its own. */
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

export interface ServeProcess extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly process: Deno.ChildProcess;
  /** What it has written to stderr so far. */
  readonly said: () => string;
}

/** Starts it with WASM on a free port, and waits until its model is warm. `runFlags` are Deno's own. */
export async function startServe(flags: readonly string[], runFlags: readonly string[] = []): Promise<ServeProcess> {
  const args = ["run", "-A", ...runFlags, "src/main.ts", "serve", "--port", "0", "--backend", "wasm", ...flags];
  const process = new Deno.Command(Deno.execPath(), { args, cwd: fileURLToPath(ROOT), stderr: "piped" }).spawn();
  let said = "";
  const ready = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.includes("\nReady: ")) ready.resolve();
    }
    ready.reject(new Error(`The server ended: ${said}`));
  })();
  await ready.promise;
  const port = Number(/:(\d+)\/v1/.exec(said)![1]);
  return {
    ...{ port, url: `http://127.0.0.1:${port}`, process, said: () => said },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch {
        // it has ended already
      }
      await process.status;
      await reading.catch(() => {});
    },
  };
}
