/** Takes out of a grammar what no text can fit, so that whatever has begun can be finished, and sees that it always gets on. */
import type { Expression } from "../pipeline/requests.ts";

/** @throws RangeError if nothing fits the first rule. */
export function prune(rules: readonly Expression[]): readonly Expression[] {
  const fits = fixpoint(rules, (expression, known) => hasText(expression, known));
  if (!fits[0]) throw new RangeError("Cannot compile a grammar that no finite text fits");
  const memo = new Map<Expression, Expression>();
  const clean = (expression: Expression): Expression => {
    const known = memo.get(expression);
    if (known) return known;
    const cleaned = cleanParts(expression, fits, clean);
    memo.set(expression, cleaned);
    return cleaned;
  };
  return rules.map((rule, i) => fits[i] ? clean(rule) : { type: "choice", options: [] });
}

function cleanParts(
  expression: Expression,
  fits: readonly boolean[],
  clean: (e: Expression) => Expression,
): Expression {
  switch (expression.type) {
    case "sequence":
      return { ...expression, parts: expression.parts.map(clean) };
    case "choice":
      return { ...expression, options: expression.options.filter((option) => hasText(option, fits)).map(clean) };
    case "repeat":
      return hasText(expression.body, fits)
        ? { ...expression, body: clean(expression.body) }
        : { type: "sequence", parts: [] };
    default:
      return expression;
  }
}

/** @throws RangeError if a rule calls itself before it has read a byte. */
export function checkProgress(rules: readonly Expression[]): void {
  const empty = fixpoint(rules, (expression, known) => fitsEmpty(expression, known));
  const left = rules.map((rule) => [...leftCalls(rule, empty)]);
  const done = new Set<number>();
  for (const start of rules.keys()) {
    const path = new Set<number>();
    const work: [rule: number, next: number][] = [[start, 0]];
    path.add(start);
    while (work.length > 0) {
      const top = work.at(-1)!;
      const callee = left[top[0]]![top[1]++];
      if (callee === undefined) {
        done.add(top[0]);
        path.delete(top[0]);
        work.pop();
      } else if (path.has(callee)) {
        throw new RangeError("Cannot compile a grammar with a rule that refers to itself and to nothing else");
      } else if (!done.has(callee)) {
        path.add(callee);
        work.push([callee, 0]);
      }
    }
  }
}

/** What holds for each rule, by `holds` of it, given what is known to hold so far: the least solution. */
function fixpoint(rules: readonly Expression[], holds: (rule: Expression, known: readonly boolean[]) => boolean) {
  const known = rules.map(() => false);
  const callers = rules.map(() => new Set<number>());
  rules.forEach((rule, i) => calls(rule, (callee) => callers[callee]!.add(i)));
  const work = [...rules.keys()];
  for (let i = work.pop(); i !== undefined; i = work.pop()) {
    if (known[i] || !holds(rules[i]!, known)) continue;
    known[i] = true;
    work.push(...callers[i]!);
  }
  return known;
}

function calls(expression: Expression, found: (rule: number) => void): void {
  if (expression.type === "call") found(expression.rule);
  else for (const part of partsOf(expression)) calls(part, found);
}

function partsOf(expression: Expression): readonly Expression[] {
  if (expression.type === "sequence") return expression.parts;
  if (expression.type === "choice") return expression.options;
  return expression.type === "repeat" ? [expression.body] : [];
}

function hasText(expression: Expression, known: readonly boolean[]): boolean {
  const has = (part: Expression) => hasText(part, known);
  switch (expression.type) {
    case "sequence":
      return expression.parts.every(has);
    case "choice":
      return expression.options.some(has);
    case "repeat":
      return expression.least === 0 || has(expression.body);
    case "call":
      return known[expression.rule]!;
    case "byte":
      return expression.ranges.length > 0;
    case "literal":
      return true;
  }
}

function fitsEmpty(expression: Expression, known: readonly boolean[]): boolean {
  const fits = (part: Expression) => fitsEmpty(part, known);
  switch (expression.type) {
    case "byte":
      return false;
    case "literal":
      return expression.text === "";
    case "sequence":
      return expression.parts.every(fits);
    case "choice":
      return expression.options.some(fits);
    case "repeat":
      return expression.least === 0 || fits(expression.body);
    case "call":
      return known[expression.rule]!;
  }
}

/** The rules that may be called before a byte was read. */
function* leftCalls(expression: Expression, empty: readonly boolean[]): Generator<number> {
  if (expression.type === "call") yield expression.rule;
  for (const part of partsOf(expression)) {
    yield* leftCalls(part, empty);
    if (expression.type === "sequence" && !fitsEmpty(part, empty)) return;
  }
}
