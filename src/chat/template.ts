/** The model's own chat template, in Jinja, as it comes with the checkpoint. */
import { Template } from "@huggingface/jinja";
import type { ChatMessage, Tool } from "./messages.ts";
import { RequestError } from "./request_error.ts";

/** What a template is rendered with. */
export interface RenderOptions {
  readonly tools?: readonly Tool[];
  /** `enable_thinking` of the template; undefined leaves the choice to it. */
  readonly thinking?: boolean | undefined;
  /** End with the opening of the answer. */
  readonly addGenerationPrompt?: boolean;
}

interface TokenizerConfig {
  readonly chat_template?: string | readonly { readonly name: string; readonly template: string }[];
  readonly [token: `${string}_token`]: string | { readonly content: string } | null;
}

/** A message as templates know it. */
export interface TemplateMessage extends Omit<ChatMessage, "tool_calls"> {
  readonly tool_calls?: readonly unknown[];
}

export class ChatTemplate {
  readonly #plain: Template;
  readonly #withTools: Template;
  /** `eos_token` and the like, which templates may name. */
  readonly #tokens: Readonly<Record<string, string>>;

  /**
   * @param sources Templates by name: `default`, and `tool_use` if there is another one for requests with tools.
   * @throws {SyntaxError} if one of them is no Jinja.
   */
  constructor(
    sources: { readonly default: string; readonly tool_use?: string },
    tokens: Readonly<Record<string, string>> = {},
  ) {
    this.#plain = parse(sources.default);
    this.#withTools = sources.tool_use === undefined ? this.#plain : parse(sources.tool_use);
    this.#tokens = tokens;
  }

  /**
   * Reads `chat_template.jinja` or else the template of `tokenizer_config.json`; null where there is none.
   *
   * @throws {SyntaxError} if a file is no JSON or no Jinja.
   */
  static async fromDirectory(directory: string): Promise<ChatTemplate | null> {
    const config = await readConfig(`${directory}/tokenizer_config.json`);
    const file = await readIfThere(`${directory}/chat_template.jinja`);
    const named = config.chat_template;
    const sources: Partial<Record<string, string>> = file !== undefined
      ? { default: file }
      : typeof named === "string"
      ? { default: named }
      : Object.fromEntries(named?.map(({ name, template }) => [name, template]) ?? []);
    const { default: plain, tool_use: withTools } = sources;
    if (plain === undefined) return null;
    return new ChatTemplate(
      { default: plain, ...(withTools === undefined ? {} : { tool_use: withTools }) },
      namesOf(config),
    );
  }

  /** @throws {RequestError} if the template refuses the conversation. */
  render(
    messages: readonly TemplateMessage[],
    { tools = [], thinking, addGenerationPrompt = true }: RenderOptions,
  ): string {
    const template = tools.length > 0 ? this.#withTools : this.#plain;
    try {
      return template.render({
        ...this.#tokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
        ...(tools.length > 0 ? { tools } : {}),
        ...(thinking === undefined ? {} : { enable_thinking: thinking }),
      });
    } catch (error) {
      const reason = (error as Error).message;
      throw new RequestError(`Cannot render the conversation with the model's chat template: ${reason}`, "messages");
    }
  }
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new SyntaxError(`Cannot read the model's chat template as Jinja: ${(error as Error).message}`);
  }
}

async function readConfig(path: string): Promise<TokenizerConfig> {
  const text = await readIfThere(path);
  try {
    return text === undefined ? {} : JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`Cannot read ${path} as JSON: ${(error as Error).message}`);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function namesOf(config: TokenizerConfig): Record<string, string> {
  const tokens = Object.entries(config).filter(([key]) => key.endsWith("_token"));
  return Object.fromEntries(tokens.flatMap(([key, token]) => {
    const text = typeof token === "object" ? token?.content : token;
    return typeof text === "string" ? [[key, text]] : [];
  }));
}

/** Templates expect the arguments of earlier calls as an object, which they write in the model's own spacing. */
export function toTemplateMessage(message: ChatMessage): TemplateMessage {
  if (!message.tool_calls) return message;
  const tool_calls = message.tool_calls.map((call) => ({
    ...call,
    function: { ...call.function, arguments: parseArguments(call.function.arguments) },
  }));
  return { ...message, tool_calls };
}

/** The object that a call's arguments are; the text itself where it is none or a number would change its digits. */
function parseArguments(text: string): unknown {
  let exact = true;
  const keep = (_key: string, value: unknown, context: { readonly source?: string }) => {
    if (typeof value === "number") exact &&= String(value) === context.source;
    return value;
  };
  try {
    const value: unknown = JSON.parse(text, keep as (key: string, value: unknown) => unknown);
    return exact && typeof value === "object" && value !== null && !Array.isArray(value) ? value : text;
  } catch {
    return text;
  }
}
