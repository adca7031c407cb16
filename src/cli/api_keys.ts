/** The keys that `serve` asks for, and its refusal to listen to everybody without one. */
import { InvalidArgumentError } from "@commander-js/extra-typings";

export interface AccessFlags {
  readonly host: string;
  readonly apiKey?: readonly string[];
  readonly apiKeyFile?: string;
  readonly allowAnonymous?: true;
}

/**
 * All keys of the flags and of the file.
 * @throws InvalidArgumentError if there are none and other machines can reach the server
 */
export async function accessKeys({ host, apiKey = [], apiKeyFile, allowAnonymous }: AccessFlags): Promise<string[]> {
  const keys = [...apiKey, ...apiKeyFile === undefined ? [] : await keysOf(apiKeyFile)];
  // An empty key, as from an empty variable, is none.
  const given = keys.filter((key) => key !== "");
  if (given.length > 0 || allowAnonymous || isLoopback(host)) return given;
  throw new InvalidArgumentError(
    `Cannot listen on ${host} without a key, as whoever reaches it could use the model: ` +
      "set --api-key or --api-key-file, or say --allow-anonymous",
  );
}

/** One key a line; empty lines and those that begin with # are none. */
async function keysOf(file: string): Promise<string[]> {
  const lines = (await text(file)).split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length > 0) return keys;
  throw new Error(`Cannot take API keys from ${file}: it has none, one a line`);
}

async function text(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new Error(`Cannot take API keys from ${file}: ${why}`, { cause: error });
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}
