/** Reads and checks a tokenizer.json: vocabulary, merges and added tokens. What is malformed ends here, in one sentence. */

/** A token that is found in the text as a whole, before any other. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Looked for after those that are not, in what they leave. */
  readonly normalized: boolean;
  /** What is around it matters: it takes neighbouring white space, or must stand alone as a word. */
  readonly contextual: boolean;
}

/** A tokenizer.json whose parts fit each other. */
export interface TokenizerFile {
  /** As it was read. */
  readonly json: Json & { readonly model: Json };
  /** Id of each token, added ones included. */
  readonly ids: ReadonlyMap<string, number>;
  /** Token of each id; undefined where the ids leave a gap. */
  readonly tokens: readonly (string | undefined)[];
  readonly addedTokens: readonly AddedToken[];
  /** [merges, 3]: left, right and merged token of each merge, by rank; empty if the model has none. */
  readonly merges: Uint32Array;
}

export type Json = Readonly<Record<string, unknown>>;

// Tables are as long as the highest id: one stray id must not fill the memory. Vocabularies are 20 times smaller.
const MAX_ID = (1 << 22) - 1;

/** Reads `json`, the parsed text of a tokenizer.json. Throws TypeError, RangeError or SyntaxError if it is malformed. */
export function readTokenizerJson(json: unknown): TokenizerFile {
  const file = object(json, "it");
  const model = object(file.model, "its model");
  checkType(model.type);
  const ids = modelIds(model.vocab);
  const tokens = byId(ids);
  const merges = readMerges(model, ids);
  const addedTokens = readAddedTokens(file.added_tokens ?? [], ids, tokens);
  return { json: { ...file, model }, ids, tokens, addedTokens, merges };
}

function object(value: unknown, what: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new TypeError(`Cannot load tokenizer.json as ${what} must be an object: it is ${kind(value)}`);
}

function array(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`Cannot load tokenizer.json as ${what} must be an array: it is ${kind(value)}`);
}

function kind(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  return Array.isArray(value) ? "an array" : typeof value === "string" ? "a string" : "an object";
}

// At most a line of a value, on one line.
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}

function checkType(type: unknown): void {
  if (["BPE", "Unigram", "WordPiece"].includes(type as string)) return;
  throw new TypeError(
    `Cannot load tokenizer.json as its model must be of type BPE, Unigram or WordPiece: it is ${shown(type)}`,
  );
}

function checkId(id: unknown, token: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_ID) return id;
  throw new RangeError(
    `Cannot load tokenizer.json as the id of ${shown(token)} must be an integer from 0 to ${MAX_ID}: it is ${
      shown(id)
    }`,
  );
}

/** The ids of the model's own tokens: a record of them (BPE, WordPiece), or a list of [token, score] (Unigram). */
function modelIds(vocab: unknown): Map<string, number> {
  const ids = new Map<string, number>();
  if (Array.isArray(vocab)) {
    vocab.forEach((entry, id) => {
      const token = Array.isArray(entry) ? entry[0] : undefined;
      if (typeof token !== "string") {
        throw new TypeError(`Cannot load tokenizer.json as entry ${id} of its vocabulary must be [token, score]`);
      }
      ids.set(token, id);
    });
    return ids;
  }
  const record = object(vocab, "its vocabulary");
  for (const token of Object.keys(record)) ids.set(token, checkId(record[token], token));
  return ids;
}

function byId(ids: ReadonlyMap<string, number>): (string | undefined)[] {
  let highest = -1;
  for (const id of ids.values()) highest = Math.max(highest, id);
  const tokens = new Array<string | undefined>(highest + 1).fill(undefined);
  for (const [token, id] of ids) name(tokens, id, token);
  return tokens;
}

function name(tokens: (string | undefined)[], id: number, token: string): void {
  const other = tokens[id];
  if (other !== undefined) {
    throw new RangeError(
      `Cannot load tokenizer.json as two tokens have the id ${id}: ${shown(other)} and ${shown(token)}`,
    );
  }
  tokens[id] = token;
}

/** A merge is [left, right], or "left right" in older files. */
function pairOf(merge: unknown, rank: number): readonly [string, string] {
  const parts = typeof merge === "string" ? merge.split(" ") : merge;
  if (Array.isArray(parts) && parts.length === 2) {
    const [left, right] = parts;
    if (typeof left === "string" && typeof right === "string") return [left, right];
  }
  throw new SyntaxError(`Cannot load tokenizer.json as merge ${rank} must name two tokens: it is ${shown(merge)}`);
}

function readMerges(model: Json, ids: ReadonlyMap<string, number>): Uint32Array {
  if (model.type !== "BPE") return new Uint32Array(0);
  const list = array(model.merges, "its list of merges");
  const prefix = typeof model.continuing_subword_prefix === "string" ? model.continuing_subword_prefix.length : 0;
  const merges = new Uint32Array(list.length * 3);
  const idOf = (token: string, rank: number) => {
    const id = ids.get(token);
    if (id !== undefined) return id;
    throw new RangeError(
      `Cannot load tokenizer.json as merge ${rank} needs ${shown(token)}, which is not in its vocabulary`,
    );
  };
  for (let rank = 0; rank < list.length; rank++) {
    const [left, right] = pairOf(list[rank], rank);
    merges[rank * 3] = idOf(left, rank);
    merges[rank * 3 + 1] = idOf(right, rank);
    merges[rank * 3 + 2] = idOf(left + right.slice(prefix), rank);
  }
  return merges;
}

/** Reads the added tokens and enters those that the model does not have into `ids` and `tokens`. */
function readAddedTokens(list: unknown, ids: Map<string, number>, tokens: (string | undefined)[]): AddedToken[] {
  return array(list, "its list of added tokens").map((entry, i) => {
    const token = object(entry, `added token ${i}`);
    const { content } = token;
    if (typeof content !== "string" || content === "") {
      throw new TypeError(`Cannot load tokenizer.json as the content of added token ${i} must be a text`);
    }
    const id = checkId(token.id, content);
    const known = ids.get(content);
    if (known !== undefined && known !== id) {
      throw new RangeError(`Cannot load tokenizer.json as ${shown(content)} has two ids: ${known} and ${id}`);
    }
    if (known === undefined) {
      while (tokens.length <= id) tokens.push(undefined);
      name(tokens, id, content);
      ids.set(content, id);
    }
    const contextual = token.lstrip === true || token.rstrip === true || token.single_word === true;
    return { id, content, special: token.special === true, normalized: token.normalized === true, contextual };
  });
}
