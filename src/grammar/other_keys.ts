/** The keys of an object that are none of its named properties. */
import type { Expression } from "../pipeline/requests.ts";
import { ANY, type Characters, union, without } from "./characters.ts";
import { choice, EMPTY, repeat, type Rules, sequence } from "./expression.ts";
import { character, quoted, string } from "./json.ts";

interface Node {
  readonly next: Map<string, Node>;
  isName: boolean;
}

/** Any key but these, each character in its one usual spelling: another spelling of a name would be the name. */
export function otherKeys(rules: Rules, names: readonly string[]): Expression {
  if (names.length === 0) return string(rules);
  const root: Node = { next: new Map(), isName: false };
  for (const name of names) {
    let node = root;
    for (const one of name) {
      if (!node.next.has(one)) node.next.set(one, { next: new Map(), isName: false });
      node = node.next.get(one)!;
    }
    node.isName = true;
  }
  const rest = rules.named("key characters", () => repeat(character(ANY)));
  const write = ({ next, isName }: Node): Expression =>
    rules.add(() => {
      const taken: Characters = union(
        ...[...next.keys()].map((one) => [[one.codePointAt(0)!, one.codePointAt(0)!]] as const),
      );
      return choice(
        ...(isName ? [] : [EMPTY]),
        sequence(character(without(ANY, taken)), rest),
        ...[...next].map(([one, node]) =>
          sequence(character([[one.codePointAt(0)!, one.codePointAt(0)!]]), write(node))
        ),
      );
    });
  return quoted(write(root));
}
