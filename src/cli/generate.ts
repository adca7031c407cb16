/** `ringlet generate`: one answer, streamed. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { fold } from "../chat/fold.ts";
import type { Delta, Reply } from "../chat/messages.ts";
import { printed, speeds } from "./answer.ts";
import {
  generationCommand,
  type GenerationFlags,
  given,
  toGenerationOptions,
  toLoadOptions,
  toThinking,
} from "./args.ts";
import type { Host, Model } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { openModel } from "./open.ts";

const help = `
Examples:
  ringlet generate "Add 1056 and 379"
  ringlet generate --show-thinking --json < question.txt
  ringlet generate --raw --max-tokens 40 "Call me Ishmael."`;

export function generateCommand(host: Host) {
  return generationCommand("generate")
    .description("answer a prompt, streamed")
    .argument("[prompt]", "what to answer; stdin if left out")
    .addOption(
      new Option("--raw", "continue the text as it is, without the chat template").conflicts(["system", "thinkBudget"]),
    )
    .option("--show-thinking", "show the thought, dimmed, on stderr")
    .option("--json", "print one JSON object instead: text, reasoning, token counts, finish_reason, timings")
    .addHelpText("after", help)
    .action(async (argument, flags) => {
      const prompt = argument ?? await host.terminal.readAll();
      if (!prompt?.trim()) throw new InvalidArgumentError("generate needs a prompt, as an argument or on stdin");
      await using model = await openModel(host, toLoadOptions(flags));
      await interruptible(async (signal) => {
        const deltas = begin(model, prompt, flags, signal);
        const thought = flags.showThinking ?? false;
        const reply = await fold(flags.json ? deltas : printed(deltas, host.terminal, { thought }));
        if (flags.json) host.terminal.write(`${JSON.stringify(toJson(reply), null, 2)}\n`);
      });
    });
}

function begin(
  model: Model,
  prompt: string,
  flags: GenerationFlags & { raw?: true },
  signal: AbortSignal,
): AsyncGenerator<Delta> {
  const options = toGenerationOptions(flags);
  if (flags.raw) return model.complete({ prompt, ...options }, signal);
  const system = flags.system === undefined ? [] : [{ role: "system" as const, content: flags.system }];
  const messages = [...system, { role: "user" as const, content: prompt }];
  return model.stream({ messages, ...options, ...toThinking(flags) }, signal);
}

function toJson(reply: Reply) {
  const { prefill, decode } = speeds(reply);
  return {
    text: reply.content,
    reasoning: reply.reasoning,
    ...given({ tool_calls: reply.toolCalls.length > 0 ? reply.toolCalls : undefined }),
    prompt_tokens: reply.usage.promptTokens,
    completion_tokens: reply.usage.completionTokens,
    reasoning_tokens: reply.usage.reasoningTokens,
    finish_reason: reply.reason,
    timings: {
      prefill_ms: reply.timings.prefillMillis,
      decode_ms: reply.timings.decodeMillis,
      prefill_tokens_per_second: prefill,
      decode_tokens_per_second: decode,
    },
  };
}
