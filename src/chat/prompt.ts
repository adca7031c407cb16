/** A conversation as the model's prompt, in which only the template writes special tokens. */
import type { ChatRequest, Tool } from "./messages.ts";
import { OUTPUT_TAGS, THOUGHT_START } from "./output_parser.ts";
import { type ChatTemplate, type TemplateMessage, toTemplateMessage } from "./template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What of a tokenizer a prompt needs. */
type Encoder = Pick<Tokenizer, "encode" | "addedTokens">;

export interface Prompt {
  readonly tokens: Uint32Array;
  /** Whether it ends inside a thought, which the template has opened. */
  readonly thinking: boolean;
}

/**
 * Whatever in a message or a tool is spelled like an added token stays ordinary text: such spellings are broken by a
 * mark before the template sees them, and the mark is taken out again once the template's own tokens are set apart.
 * So a template's other checks of the text hold as ever, and without such spellings the ids are those of the rendered
 * text as a whole. What an assistant said keeps the tags of thoughts and tool calls.
 */
export function encodePrompt(template: ChatTemplate, tokenizer: Encoder, request: ChatRequest): Prompt {
  const { thinking } = request;
  const tools = (request.tools ?? []).map(withoutStrict);
  const messages = request.messages.map(toTemplateMessage);
  const mark = unusedCharacter(JSON.stringify([messages, tools]));
  const added = tokenizer.addedTokens.map((token) => token.content);
  const breakAll = spellingBreaker(added, mark);
  const breakOthers = spellingBreaker(added.filter((token) => !OUTPUT_TAGS.includes(token)), mark);

  const rendered = template.render(messages.map((message) => breakMessage(message, breakAll, breakOthers)), {
    tools: mapStrings(tools, breakAll) as typeof tools,
    thinking,
  });
  return {
    tokens: encodeMarked(tokenizer, rendered, mark),
    thinking: rendered.trimEnd().endsWith(THOUGHT_START),
  };
}

/** A model is told what it may call, not how its answer will be held to it. */
function withoutStrict({ type, function: { strict: _, ...described } }: Tool): Tool {
  return { type, function: described };
}

type Change = (text: string) => string;

function breakMessage(message: TemplateMessage, breakAll: Change, breakOthers: Change): TemplateMessage {
  const entries = Object.entries(message).map(([key, value]) => {
    const said = message.role === "assistant" && key !== "tool_calls";
    return [key, mapStrings(value, said ? breakOthers : breakAll)];
  });
  return Object.fromEntries(entries);
}

/** The first character from the private use area on that `text` lacks. */
function unusedCharacter(text: string): string {
  const used = new Set(text);
  let code = 0xe000;
  while (used.has(String.fromCodePoint(code))) code++;
  return String.fromCodePoint(code);
}

/** Puts `mark` behind the first character of each spelling, also where they overlap. */
function spellingBreaker(spellings: readonly string[], mark: string): Change {
  if (spellings.length === 0) return (text) => text;
  const first = new RegExp(`(?=${spellings.map(RegExp.escape).join("|")}).`, "gsu");
  return (text) => text.replace(first, (character) => character + mark);
}

/** Applies `change` to every string in a JSON value, keys included. */
function mapStrings(value: unknown, change: Change): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [change(key), mapStrings(item, change)]));
}

/** Encodes rendered text piece by piece: added tokens that are whole, and what lies between them without its marks. */
function encodeMarked(tokenizer: Encoder, rendered: string, mark: string): Uint32Array {
  const ids = new Map(tokenizer.addedTokens.map(({ content, id }) => [content, id]));
  // The longest that fits, as tokenizers do; a token of one character is broken by the mark behind it.
  const longestFirst = [...ids.keys()].toSorted((a, b) => b.length - a.length).map(RegExp.escape).join("|");
  const pieces = ids.size === 0 ? [rendered] : rendered.split(new RegExp(`(${longestFirst})(?!${mark})`, "u"));
  return Uint32Array.from(pieces.flatMap((piece, i) => {
    if (i % 2 === 1) return [ids.get(piece)!];
    return piece === "" ? [] : [...tokenizer.encode(piece.replaceAll(mark, ""))];
  }));
}
