/** `deno task demo`: the embedded model answers a few questions at the same time, thinking aloud. */
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

/** The same deltas, which are asked for from now on, whenever they are shown. */
const ahead = (deltas: AsyncIterable<Delta>): AsyncIterable<Delta> =>
  ReadableStream.from(deltas).pipeThrough(new TransformStream({}, {}, { highWaterMark: Infinity }));

/** Introduces the model, asks everything at once, shows one answer after the other and tells how fast they came. */
async function demonstrate(chat: Chat): Promise<void> {
  const [stage] = chat.info.stages;
  print(`${bold("Ringlet")} runs ${bold(chat.model)} on ${bold(stage?.backend ?? "")}: ${stage?.device}\n\n`);
  const begun = performance.now();
  const answers = questions.map(({ question, ...request }) => {
    const messages = [{ role: "user" as const, content: question }];
    return { question, deltas: ahead(chat.stream({ messages, maxTokens: 1000, ...request })) };
  });
  const replies: Reply[] = [];
  for (const { question, deltas } of answers) {
    print(`${cyan(">")} ${bold(question)}\n`);
    replies.push(await fold(shown(deltas)));
    print("\n\n");
  }
  const seconds = (performance.now() - begun) / 1000;
  const sum = (value: (reply: Reply) => number) => replies.reduce((all, reply) => all + value(reply), 0);
  const read = sum(({ usage }) => usage.promptTokens), written = sum(({ usage }) => usage.completionTokens);
  const thought = sum(({ usage }) => usage.reasoningTokens);
  print(`${read} tokens read and ${written} written (${thought} of them thought) in ${seconds.toFixed(2)} s, `);
  print(`${((read + written) / seconds).toFixed(0)} tokens/s\n`);
}

await using chat = await load({ maxSequences: questions.length });
await demonstrate(chat);
