/** `deno task demo`: the embedded model answers a few questions, thinking aloud. */
import colors from "picocolors";
import { type Chat, type ChatRequest, type Delta, fold, load, type Reply, type Tool } from "../src/mod.ts";

const weather: Tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const questions: readonly (Partial<ChatRequest> & { readonly question: string })[] = [
  { question: "Who are you?", thinking: false },
  { question: "Add 4867 and 2759" },
  { question: "Sort these numbers from smallest to largest: 82, 739, 970, 320, 961" },
  { question: "Solve 5*x - 19 = 31" },
  { question: "What is the weather in Lisbon?", tools: [weather] },
  { question: "There will be a concert in Lisbon on August 23. Answer as JSON with keys city, month, day." },
];

const { bold, cyan, dim } = colors.createColors(Deno.stdout.isTerminal() && colors.isColorSupported);

const encoder = new TextEncoder();
const print = (text: string) => Deno.stdout.writeSync(encoder.encode(text));

/** Prints each delta as it comes: thoughts dimmed behind a bar, calls as the model wrote them. */
async function* shown(deltas: AsyncIterable<Delta>): AsyncGenerator<Delta> {
  let thinking = false;
  for await (const delta of deltas) {
    if (delta.type === "reasoning") {
      print(dim((thinking ? "" : "  │ ") + delta.text.replaceAll("\n", "\n  │ ")));
      thinking = true;
    } else if (thinking) {
      print("\n");
      thinking = false;
    }
    if (delta.type === "content") print(delta.text);
    if (delta.type === "tool_call") print(`${delta.name === undefined ? "" : `call ${delta.name} `}${delta.arguments}`);
    yield delta;
  }
}

/** Introduces the model, asks everything and tells how fast the answers came. */
async function demonstrate(chat: Chat): Promise<void> {
  const [stage] = chat.info.stages;
  print(`${bold("Ringlet")} runs ${bold(chat.model)} on ${bold(stage?.backend ?? "")}: ${stage?.device}\n\n`);
  const replies: Reply[] = [];
  for (const { question, ...request } of questions) {
    print(`${cyan(">")} ${bold(question)}\n`);
    const messages = [{ role: "user" as const, content: question }];
    replies.push(await fold(shown(chat.stream({ messages, maxTokens: 1000, ...request }))));
    print("\n\n");
  }
  const sum = (value: (reply: Reply) => number) => replies.reduce((all, reply) => all + value(reply), 0);
  const read = sum(({ usage }) => usage.promptTokens), written = sum(({ usage }) => usage.completionTokens);
  const prefill = read / sum(({ timings }) => timings.prefillMillis) * 1000;
  // The first token of each answer comes with its prefill.
  const decode = (written - replies.length) / sum(({ timings }) => timings.decodeMillis) * 1000;
  const thought = sum(({ usage }) => usage.reasoningTokens);
  print(`${read} tokens read at ${prefill.toFixed(0)} tokens/s, `);
  print(`${written} written (${thought} of them thought) at ${decode.toFixed(0)} tokens/s\n`);
}

await using chat = await load();
await demonstrate(chat);
