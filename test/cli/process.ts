/** The command line as a process of its own. */
import { findLibrary } from "../../src/backend/webgpu/wgpu_native/find.ts";
import { CACHE_FOLDER } from "../device_file.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

export function ringlet(...args: string[]): Deno.ChildProcess {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", main, ...args],
    env: { XDG_CACHE_HOME: CACHE_FOLDER, ...installed() },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  return command.spawn();
}

/** Names the library that may lie in the user's cache, for another cache is given. */
function installed(): Record<string, string> {
  try {
    return { RINGLET_WGPU_NATIVE: findLibrary() };
  } catch {
    return {}; // then the process says so, if it needs it
  }
}

/** Its exit code and all that it says. */
export async function ran(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await ringlet(...args).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Reads `stream` up to a match of `pattern`. */
export async function until(stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    text += part;
    const found = pattern.exec(text);
    if (found) return found;
  }
  throw new Error(`${pattern} never came: ${text}`);
}
