/** What an answer's text must be, by the format and the tools of its request. */
import { choice, EMPTY, literal, optional, repeat, Rules, sequence } from "../grammar/expression.ts";
import { COLON, COMMA, exactly, object } from "../grammar/json.ts";
import { schemaExpression } from "../grammar/schema.ts";
import { upTo, without } from "../grammar/text.ts";
import type { Expression, Grammar } from "../pipeline/requests.ts";
import type { ChatRequest, Tool } from "./messages.ts";
import { THOUGHT_END } from "./output_parser.ts";
import { RequestError } from "./request_error.ts";
import { CALL_END, CALL_START } from "./tool_call.ts";

type Wishes = Pick<ChatRequest, "responseFormat" | "tools" | "toolChoice">;

/**
 * The grammar of the whole answer, from its thought on if the prompt has opened one. Null where everything may come.
 *
 * @throws {RequestError} if a schema or a choice cannot be held to.
 */
export function answerGrammar(
  { responseFormat, tools = [], toolChoice = "auto" }: Wishes,
  thinking: boolean,
): Grammar | null {
  const field = grammarField(responseFormat);
  const free = field === "tools";
  const anyStrict = tools.some((tool) => tool.function.strict);
  if (free && toolChoice === "auto" && !anyStrict) return null;
  const rules = new Rules();
  const format = () => inField("responseFormat", "", () => formatted(rules, responseFormat!));
  const called = () => calls(rules, chosenTools(tools, toolChoice), typeof toolChoice === "object" ? 1 : Infinity);
  const answer = toolChoice !== "auto"
    ? called()
    : free
    ? textWithCalls(rules, tools)
    : tools.length === 0
    ? format()
    : choice(format(), called());
  const key = JSON.stringify([thinking, responseFormat, toolChoice, tools.map((tool) => tool.function)]);
  const thought = thinking ? sequence(upTo(rules, THOUGHT_END), repeat(literal("\n"), 0, 2)) : EMPTY;
  return inField(field, "", () => rules.grammar(key, sequence(thought, answer)));
}

/** What of a request is to blame where an answer cannot be held to its grammar. */
export function grammarField(format: ChatRequest["responseFormat"]): "responseFormat" | "tools" {
  return (format?.type ?? "text") === "text" ? "tools" : "responseFormat";
}

function formatted(rules: Rules, format: NonNullable<ChatRequest["responseFormat"]>): Expression {
  return format.type === "json_schema" ? schemaExpression(rules, format.schema, format) : object(rules);
}

function chosenTools(tools: readonly Tool[], choice: NonNullable<ChatRequest["toolChoice"]>): readonly Tool[] {
  if (tools.length === 0) {
    throw new RequestError("Cannot call a tool as the request has none: send tools", "toolChoice");
  }
  if (typeof choice !== "object") return tools;
  const chosen = tools.filter((tool) => tool.function.name === choice.name);
  if (chosen.length > 0) return chosen;
  throw new RequestError(`Cannot call ${JSON.stringify(choice.name)}: it is not among the tools`, "toolChoice");
}

/** Text in which calls may come, each complete. */
function textWithCalls(rules: Rules, tools: readonly Tool[]): Expression {
  const rest = callBody(rules, tools);
  const text = (): Expression =>
    rules.named("answer", () => choice(without(rules, CALL_START), sequence(upTo(rules, CALL_START), rest, text())));
  return text();
}

function calls(rules: Rules, tools: readonly Tool[], most: number): Expression {
  const call = sequence(literal(CALL_START), callBody(rules, tools));
  return sequence(call, repeat(sequence(LINE, call), 0, most - 1));
}

const LINE = optional(literal("\n"));

/** What follows the opening tag, as the template writes it. */
function callBody(rules: Rules, tools: readonly Tool[]): Expression {
  const heads = tools.map((tool) =>
    sequence(exactly(tool.function.name), COMMA, literal('"arguments"'), COLON, args(rules, tool))
  );
  const call = sequence(literal('{"name"'), COLON, choice(...heads), literal("}"));
  return rules.named("call", () => sequence(LINE, call, LINE, literal(CALL_END)));
}

function args(rules: Rules, { function: { name, parameters, strict } }: Tool): Expression {
  if (!strict || parameters === undefined) return object(rules);
  return inField("tools", `the parameters of ${name}: `, () => schemaExpression(rules, parameters, { strict }));
}

function inField<T>(field: "responseFormat" | "tools", place: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new RequestError(place + error.message, field);
    throw error;
  }
}
