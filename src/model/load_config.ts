/** A model's configuration from its folder: config.json, and the end tokens that generation_config.json adds. */
import { type ModelConfig, parseConfig } from "./config.ts";
import { complaint, CONFIG_FILE, generationSchema, readFields } from "./config_schema.ts";

const GENERATION_FILE = "generation_config.json";

/** The largest known have a few KiB; bounds what is read of a file that is none. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Reads config.json and, where there is one, generation_config.json. Text ends at the end tokens of both (spec e.2).
 * @throws {Deno.errors.NotFound} if there is no config.json
 * @throws {SyntaxError} if a file is not JSON
 * @throws {RangeError | TypeError} as {@linkcode parseConfig} does
 */
export async function loadConfig(folder: string): Promise<ModelConfig> {
  const json = await readJson(`${folder}/${CONFIG_FILE}`);
  if (json === undefined) {
    throw new Deno.errors.NotFound(`Cannot open ${folder} as a model: it has no ${CONFIG_FILE}`);
  }
  const config = parseConfig(json);
  const generation = await readJson(`${folder}/${GENERATION_FILE}`);
  if (generation === undefined) return config;
  const eosTokenIds = new Set([...config.eosTokenIds, ...parseGenerationConfig(generation).eosTokenIds]);
  return { ...config, eosTokenIds: [...eosTokenIds] };
}

/**
 * Reads a config.json that lies by itself, under any name.
 * @throws as {@linkcode loadConfig} does
 */
export async function loadConfigFile(path: string): Promise<ModelConfig> {
  const json = await readJson(path);
  if (json === undefined) {
    throw new Deno.errors.NotFound(`Cannot open ${path} as a model's configuration: there is none`);
  }
  return parseConfig(json);
}

/**
 * Reads the JSON of a generation_config.json.
 * @throws {TypeError | RangeError} for end tokens that are no token ids
 */
export function parseGenerationConfig(json: unknown): Pick<ModelConfig, "eosTokenIds"> {
  return { eosTokenIds: readFields(generationSchema, json, GENERATION_FILE).eos_token_id };
}

/** Undefined if there is no such file. */
async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) return undefined;
    if (size > MAX_CONFIG_BYTES) {
      throw new RangeError(complaint(`it has ${size} bytes, and at most ${MAX_CONFIG_BYTES} are read`, path));
    }
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8 quotes the place, which may span lines.
    throw new SyntaxError(complaint((error as SyntaxError).message.replace(/\s+/g, " "), path));
  }
}
