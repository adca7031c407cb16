/** The command line in a process of its own. */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Generates one token on a GPU of this provider; gives the exit code and what is complained of. */
export async function generateOn(gpu: string, env: Record<string, string>): Promise<readonly [number, string]> {
  const args = ["run", "-A", MAIN, "generate", "Hi", "--gpu", gpu, "--backend", "webgpu", "--max-tokens", "1"];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1", ...env } }).output();
  return [code, new TextDecoder().decode(stderr)];
}
