/** The three parts of a tool call in text, `{"name": …, "arguments": {…}}` between tags, read while it is being written. */

export const CALL_START = "<tool_call>";
export const CALL_END = "</tool_call>";

/** A name longer than this is read once the call is complete, so that the work for each piece of text stays bounded. */
const headLimit = 4096;
const namedHead = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)/s;

const anyTag = /<\/?tool_call>/;

/** `length` characters were read: up to the arguments, or with them up to the closing tag. */
export interface CallHead {
  readonly name: string;
  readonly arguments?: string;
  readonly length: number;
}

/**
 * Reads what follows `<tool_call>`: a name that comes first as soon as its arguments begin, else the whole call once
 * it is complete. Undefined asks for more text, null says that this is no call, as when another begins.
 */
export function readCallHead(body: string, ended: boolean): CallHead | null | undefined {
  const tag = anyTag.exec(body);
  const whole = body.slice(0, tag?.index);
  const head = namedHead.exec(whole.slice(0, headLimit));
  const name = head && parseJson(head[1]!);
  if (head && typeof name === "string") return { name, length: head[0].length };
  if (tag?.[0] === CALL_START || /^\s*[^\s{]/.test(body)) return null;
  return tag || ended ? readWholeCall(whole) : undefined;
}

/** A call that is complete: its members in any order, its arguments also as a JSON string or missing. */
function readWholeCall(text: string): CallHead | null {
  const call = parseJson(text) as { name?: unknown; arguments?: unknown } | null | undefined;
  if (typeof call?.name !== "string") return null;
  const { name, arguments: args = {} } = call;
  if (typeof args === "string") return { name, arguments: args, length: text.length };
  if (typeof args !== "object" || args === null || Array.isArray(args)) return null;
  return { name, arguments: JSON.stringify(args), length: text.length };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Finds the end of a call's arguments by its strings and brackets alone, so that arguments which are not quite JSON
 * still come out as the model wrote them. The closing tag ends them as well: outside of strings anywhere, in a string
 * (which then was never closed) after a line break.
 */
export class ArgumentScanner {
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** Reads `text`, which follows what was read before: how many characters are arguments, and whether they end there. */
  scan(text: string, ended: boolean): { readonly length: number; readonly done: boolean } {
    for (let at = 0; at < text.length; at++) {
      const tag = this.#inString ? `\n${CALL_END}` : CALL_END;
      if (text[at] === tag[0]) {
        if (text.startsWith(tag, at)) return { length: at, done: true };
        if (!ended && tag.startsWith(text.slice(at, at + tag.length))) return { length: at, done: false };
      }
      this.#read(text[at]!);
      if (this.#depth === 0) return { length: at + 1, done: true };
    }
    return { length: text.length, done: false };
  }

  #read(character: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inString && character === "\\") this.#escaped = true;
    else if (character === '"') this.#inString = !this.#inString;
    else if (this.#inString) return;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") this.#depth--;
  }
}

/**
 * Reads what follows the arguments: how many characters of `text` belong to the call, its last brace and closing tag
 * as far as they are there. Undefined asks for more text.
 */
export function readCallTail(text: string, ended: boolean): number | undefined {
  const [space, brace] = /^(\s*\}?)\s*/.exec(text)!;
  const rest = text.slice(space.length);
  if (rest.startsWith(CALL_END)) return space.length + CALL_END.length;
  if (!ended && CALL_END.startsWith(rest)) return undefined;
  return brace!.trim() === "" ? 0 : brace!.length;
}
