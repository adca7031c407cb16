/** What the chat tests need of the embedded model: its tokenizer, its template, its evaluation and golden files. */
import { Tokenizer } from "../../src/chat/tokenizer.ts";
import { ChatTemplate } from "../../src/chat/template.ts";
import type { ChatMessage, Tool } from "../../src/chat/messages.ts";

const models = new URL("../../models/", import.meta.url);
export const directory = new URL("ring-nano", models).pathname;
export const tokenizer = await Tokenizer.fromFile(`${directory}/tokenizer.json`);
export const template = (await ChatTemplate.fromDirectory(directory))!;

export interface EvalItem {
  readonly id: string;
  readonly messages: readonly ChatMessage[];
  readonly enable_thinking: boolean;
  readonly tools?: readonly Tool[];
}

interface StoredMessage extends Omit<ChatMessage, "tool_calls"> {
  readonly tool_calls?: readonly { readonly function: { readonly name: string; readonly arguments: unknown } }[];
}

/** The conversations of the evaluation file; arguments of calls, objects in the file, as OpenAI's JSON text. */
export const evalItems: readonly EvalItem[] = (await Deno.readTextFile(new URL("ring-nano-eval.jsonl", models)))
  .trim().split("\n").map((line) => {
    const item = JSON.parse(line);
    return { ...item, messages: item.messages.map(toChatMessage) };
  });

function toChatMessage({ tool_calls, ...message }: StoredMessage): ChatMessage {
  if (!tool_calls) return message;
  const calls = tool_calls.map((call, i) => ({
    id: `call_${i}`,
    type: "function" as const,
    function: { name: call.function.name, arguments: JSON.stringify(call.function.arguments) },
  }));
  return { ...message, tool_calls: calls };
}

export interface GoldenPrompt {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly enable_thinking: boolean;
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
}

export const golden: readonly GoldenPrompt[] =
  JSON.parse(await Deno.readTextFile(new URL("ring-nano-golden.json", models))).prompts;
