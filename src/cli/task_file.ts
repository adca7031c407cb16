/** Task files: questions with checked answers, one JSON object a line. */
import { isDeepStrictEqual } from "node:util";
import type { ChatMessage, Reply, Tool, ToolCall } from "../chat/messages.ts";
import { readInput } from "./input_file.ts";

export interface Task {
  readonly id: string;
  /** What it belongs to; accuracy is counted by it. */
  readonly task: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly Tool[];
  readonly enable_thinking?: boolean;
  readonly answer: unknown;
  readonly check: string;
}

/** How an answer is told right, looking at what follows the thought. */
const checks: Readonly<Record<string, (reply: Reply, answer: unknown) => boolean>> = {
  /** Equal but for white space around it. */
  exact: ({ content }, answer) => content.trim() === answer,
  /** The last number. */
  number: ({ content }, answer) => Number(content.match(/-?\d+(?:\.\d+)?/g)?.at(-1)) === Number(answer),
  /** Anywhere, in any case. */
  contains: ({ content }, answer) => content.toLowerCase().includes(String(answer).toLowerCase()),
  /** The same JSON value. */
  json: ({ content }, answer) => isDeepStrictEqual(parse(content), answer),
  /** One call and no other, of the same function with the same arguments. */
  tool_call: ({ toolCalls }, answer) => toolCalls.length === 1 && isDeepStrictEqual(toPlain(toolCalls[0]!), answer),
};

export function isRight({ check, answer }: Task, reply: Reply): boolean {
  return checks[check]!(reply, answer);
}

/** @throws {SyntaxError} naming the first line that is no task. */
export async function readTasks(path: string): Promise<Task[]> {
  const lines = (await readInput(path)).split("\n");
  return lines.flatMap((line, i) => {
    if (line.trim() === "") return [];
    const task = parse(line) as Partial<Task> | undefined;
    if (!Array.isArray(task?.messages) || typeof task.task !== "string" || !Object.hasOwn(checks, task.check ?? "")) {
      const kinds = Object.keys(checks).join(", ");
      throw new SyntaxError(
        `Cannot read line ${i + 1} of ${path} as a task: it needs task, messages and a check of ${kinds}`,
      );
    }
    return [{ ...task as Task, id: task.id ?? `line ${i + 1}`, messages: task.messages.map(toMessage) }];
  });
}

/** Task files write a call's arguments as an object; the chat layer takes JSON text, as OpenAI has it. */
function toMessage(message: ChatMessage): ChatMessage {
  if (!message.tool_calls) return message;
  return { ...message, tool_calls: message.tool_calls.map(toCall) };
}

function toCall(call: ToolCall, i: number): ToolCall {
  const { name, arguments: values } = call.function;
  const text = typeof values === "string" ? values : JSON.stringify(values);
  return { id: call.id ?? `call_${i}`, type: "function", function: { name, arguments: text } };
}

function toPlain({ function: { name, arguments: text } }: ToolCall) {
  return { name, arguments: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
