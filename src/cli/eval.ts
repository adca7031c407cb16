/** `ringlet eval`: how many tasks of a file the model gets right. */
import { fold } from "../chat/fold.ts";
import type { Reply } from "../chat/messages.ts";
import { given, integer, maxSequences, modelCommand, toLoadOptions } from "./args.ts";
import type { Host, Model } from "./host.ts";
import { interruptible } from "./interrupt.ts";
import { openModel } from "./open.ts";
import { isRight, readTasks, type Task } from "./task_file.ts";

const help = `
FILE has one JSON object a line: {id, task, messages, enable_thinking, tools?, answer, check}. A check looks at the
text after the thought: exact, number (the last one), contains, json, or tool_call (exactly one, equal).

Examples:
  ringlet eval --limit 10
  ringlet eval tasks.jsonl --task tools --failures`;

interface Outcome {
  readonly task: Task;
  readonly reply: Reply;
  readonly right: boolean;
}

export function evalCommand(host: Host) {
  return modelCommand("eval")
    .description("accuracy on a file of tasks, answered greedily")
    .argument("[file]", "tasks, JSONL (default: those of the embedded model)")
    .addOption(maxSequences)
    .option("--limit <n>", "tasks of each kind at most", integer(1))
    .option("--task <name>", "only tasks of this kind")
    .option("--max-tokens <n>", "tokens of an answer at most", integer(1), 2048)
    .option("--failures", "also print the wrong answers")
    .option("--json", "print one JSON object instead")
    .addHelpText("after", help)
    .action(async (argument, flags) => {
      const file = argument ?? `${host.embeddedModel}-eval.jsonl`;
      const tasks = select(await readTasks(file), flags);
      if (tasks.length === 0) throw new RangeError(`Cannot evaluate: ${file} has no task ${flags.task ?? "at all"}`);
      await using model = await openModel(host, toLoadOptions(flags));
      const outcomes = await interruptible((signal) => answerAll(host, model, tasks, flags.maxTokens, signal));
      const failures = flags.failures ? outcomes.filter(({ right }) => !right).map(toFailure) : undefined;
      const report = { ...count(outcomes), ...given({ failures }) };
      host.terminal.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : toText(report));
    });
}

function select(tasks: readonly Task[], { task: name, limit = Infinity }: { task?: string; limit?: number }): Task[] {
  const seen = new Map<string, number>();
  return tasks.filter(({ task }) => {
    if (name !== undefined && task !== name) return false;
    seen.set(task, (seen.get(task) ?? 0) + 1);
    return seen.get(task)! <= limit;
  });
}

/** Answers as many at once as the model has slots. */
async function answerAll(
  { terminal }: Host,
  model: Model,
  tasks: readonly Task[],
  maxTokens: number,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0, done = 0, right = 0;
  const work = async () => {
    for (let i = next++; i < tasks.length; i = next++) {
      const outcome = await answer(model, tasks[i]!, maxTokens, signal);
      outcomes[i] = outcome;
      done++;
      if (outcome.right) right++;
      const text = `${done} of ${tasks.length}, ${right} right`;
      if (terminal.live) terminal.note(`\r${text}${done === tasks.length ? "\n" : ""}`);
      else if (done % 50 === 0) terminal.note(`${text}\n`);
    }
  };
  await Promise.all(Array.from({ length: model.info.slots }, work));
  return outcomes;
}

async function answer(model: Model, task: Task, maxTokens: number, signal: AbortSignal): Promise<Outcome> {
  const { messages, tools, enable_thinking: thinking } = task;
  const reply = await fold(model.stream({ messages, maxTokens, ...given({ tools, thinking }) }, signal));
  return { task, reply, right: isRight(task, reply) };
}

function count(outcomes: readonly Outcome[]) {
  const tasks = Object.entries(Object.groupBy(outcomes, ({ task }) => task.task)).map(([task, group = []]) => ({
    task,
    ...accuracy(group),
  }));
  return { tasks, total: accuracy(outcomes) };
}

function accuracy(outcomes: readonly Outcome[]) {
  const right = outcomes.filter((outcome) => outcome.right).length;
  return { right, of: outcomes.length, accuracy: right / outcomes.length };
}

function toFailure({ task: { id, answer }, reply }: Outcome) {
  return { id, expected: answer, got: reply.toolCalls.length > 0 ? reply.toolCalls : reply.content };
}

function toText(
  { tasks, total, failures = [] }: ReturnType<typeof count> & { failures?: ReturnType<typeof toFailure>[] },
) {
  const row = (name: string, { right, of, accuracy }: typeof total) =>
    `${name.padEnd(12)} ${String(right).padStart(4)} of ${String(of).padStart(4)}  ${
      (100 * accuracy).toFixed(1).padStart(5)
    } %\n`;
  const wrong = failures.map(({ id, expected, got }) =>
    `${id}\n  expected ${JSON.stringify(expected)}\n  got      ${JSON.stringify(got)}\n`
  );
  return [...wrong, ...tasks.map((task) => row(task.task, task)), row("total", total)].join("");
}
