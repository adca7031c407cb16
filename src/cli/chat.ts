/** `ringlet chat`: a conversation in the terminal. */
import { fold } from "../chat/fold.ts";
import { printed, summary } from "./answer.ts";
import { generationCommand, type GenerationFlags, toGenerationOptions, toLoadOptions, toThinking } from "./args.ts";
import { Conversation } from "./conversation.ts";
import { deviceName } from "./device.ts";
import type { Host, Model } from "./host.ts";
import { interruptible, isAbort } from "./interrupt.ts";
import { openModel } from "./open.ts";
import { typedQuestions } from "./questions.ts";

const help = `
Ctrl-C stops an answer; twice on an empty line it leaves, as Ctrl-D does. /help lists what can be typed besides questions.
From a pipe, each line is a question: printf 'Add 56 and 79\\nAnd 12 and 30?\\n' | ringlet chat`;

const commands = `/clear         begin a new conversation
/think         think first, or stop doing so
/system TEXT   give a system message; without TEXT, take it away
/save FILE     write the conversation to FILE as JSON
/exit          leave, as Ctrl-D does
`;

export function chatCommand(host: Host) {
  return generationCommand("chat")
    .description("talk with the model")
    .addHelpText("after", help)
    .action(async (flags) => {
      const { terminal } = host;
      const { dim, bold } = terminal.paint;
      await using model = await openModel(host, toLoadOptions(flags));
      const conversation = new Conversation({ system: flags.system, thinking: flags.think });
      if (terminal.interactive) terminal.note(dim(`${introduce(model)}\n\n`));
      for await (const question of terminal.interactive ? typedQuestions(bold("> ")) : terminal.lines()) {
        if (question.trim() === "/exit") break;
        if (question.startsWith("/")) terminal.note(dim(await obey(question, conversation)));
        else if (question.trim() !== "") await answer(host, model, conversation, question, flags);
      }
      if (terminal.interactive) terminal.note("\n");
    });
}

function introduce({ model, info }: Model): string {
  const device = info.stages.map(deviceName)[0];
  return `${model} on ${device}, ${info.context} tokens of context. /help lists commands, Ctrl-D leaves.`;
}

async function answer(host: Host, model: Model, conversation: Conversation, question: string, flags: GenerationFlags) {
  const { terminal } = host;
  const { dim, red } = terminal.paint;
  await interruptible(async (signal) => {
    const { thinkBudget } = toThinking(flags);
    const options = { ...toGenerationOptions(flags), ...(thinkBudget === undefined ? {} : { thinkBudget }) };
    const deltas = conversation.ask(question, (request) => model.stream({ ...request, ...options }, signal));
    try {
      const reply = await fold(printed(deltas, terminal, { thought: terminal.live }));
      terminal.note(dim(`${summary(reply)}\n\n`));
    } catch (error) {
      // Whoever types can go on; a pipe's reader needs to know.
      if (!terminal.interactive) throw error;
      terminal.note(isAbort(error) ? dim(" stopped\n\n") : red(`${(error as Error).message}\n\n`));
    }
  });
}

/** Does what a line that begins with a slash says, and gives what to tell of it. */
export async function obey(line: string, conversation: Conversation): Promise<string> {
  const [command, ...words] = line.trim().split(/\s+/);
  const text = words.join(" ");
  switch (command) {
    case "/help":
      return commands;
    case "/clear":
      conversation.clear();
      return "A new conversation\n";
    case "/think":
      conversation.thinking = !conversation.thinking;
      return conversation.thinking ? "Thinking first\n" : "Answering at once\n";
    case "/system":
      conversation.system = text || undefined;
      return text ? "Noted\n" : "No system message\n";
    case "/save":
      return await save(text, conversation);
    default:
      return `Unknown command ${command}; there are:\n${commands}`;
  }
}

async function save(path: string, { messages }: Conversation): Promise<string> {
  if (path === "") return "Write it as /save FILE\n";
  try {
    await Deno.writeTextFile(path, `${JSON.stringify({ messages }, null, 2)}\n`);
    return `Wrote ${messages.length} messages to ${path}\n`;
  } catch (error) {
    return `Cannot write ${path}: ${(error as Error).message}\n`;
  }
}
