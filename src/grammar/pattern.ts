/** Regular expressions as JSON Schema has them, as what a JSON string may hold. */
import type { Expression } from "../pipeline/requests.ts";
import { ANY, type Characters, complement, range, union, without } from "./characters.ts";
import { choice, EMPTY, repeat, sequence } from "./expression.ts";
import { character } from "./json.ts";

/** An expression and how many characters its texts have. */
export interface Pattern {
  readonly expression: Expression;
  readonly least: number;
  readonly most: number;
  /** Set where it is one character of a set, so many times. */
  readonly repeats?: Characters;
}

const DIGITS = range("0", "9");
const WORD = union(DIGITS, range("A", "Z"), range("a", "z"), range("_"));
const SPACES = union(
  ...[..."\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"].map((one) => range(one)),
  range("\u2000", "\u200a"),
);
const DOT = without(ANY, union(range("\n"), range("\r"), range("\u2028"), range("\u2029")));

const CLASSES: Readonly<Record<string, Characters>> = {
  d: DIGITS,
  w: WORD,
  s: SPACES,
  D: complement(DIGITS),
  W: complement(WORD),
  S: complement(SPACES),
};
const CONTROLS: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f", v: "\v" };

const NOTHING: Pattern = { expression: EMPTY, least: 0, most: 0 };
const ANYTHING: Pattern = times(one(ANY), 0, Infinity);
/** Groups within groups. */
const MOST_DEPTH = 50;

/** @throws RangeError or SyntaxError with what is not supported or wrong in it. */
export function parsePattern(source: string): Pattern {
  try {
    new RegExp(source, "u");
  } catch {
    throw new SyntaxError("it is no regular expression");
  }
  return new PatternParser(source).parse();
}

function one(set: Characters): Pattern {
  return { expression: character(set), least: 1, most: 1, repeats: set };
}

function times(body: Pattern, least: number, most: number): Pattern {
  const [shortest, longest] = [body.least * least, body.most === 0 ? 0 : body.most * most];
  const whole = { expression: repeat(body.expression, least, most), least: shortest, most: longest };
  return body.least === 1 && body.most === 1 && body.repeats ? { ...whole, repeats: body.repeats } : whole;
}

function inTurn(parts: readonly Pattern[]): Pattern {
  if (parts.length === 1) return parts[0]!;
  return parts.reduce((all, part) => ({
    expression: sequence(all.expression, part.expression),
    least: all.least + part.least,
    most: all.most + part.most,
  }), NOTHING);
}

function either(options: readonly Pattern[]): Pattern {
  if (options.length === 1) return options[0]!;
  return {
    expression: choice(...options.map(({ expression }) => expression)),
    least: Math.min(...options.map(({ least }) => least)),
    most: Math.max(...options.map(({ most }) => most)),
  };
}

class PatternParser {
  readonly #characters: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#characters = [...source];
  }

  /** Where it is not anchored, anything may stand before and behind. */
  parse(): Pattern {
    const options: Pattern[] = [];
    do {
      const before = this.#take("^") ? [] : [ANYTHING];
      const parts = this.#parts(0);
      const behind = this.#take("$") ? [] : [ANYTHING];
      if (this.#next !== undefined && this.#next !== "|") this.#refuse(this.#next);
      options.push(inTurn([...before, ...parts, ...behind]));
    } while (this.#take("|"));
    return either(options);
  }

  get #next(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(text: string): boolean {
    const found = this.#characters.slice(this.#at, this.#at + text.length).join("") === text;
    if (found) this.#at += text.length;
    return found;
  }

  #refuse(what: string): never {
    throw new RangeError(`${what} at character ${this.#at + 1} is not supported`);
  }

  #parts(depth: number): Pattern[] {
    const parts: Pattern[] = [];
    while (this.#next !== undefined && !"|)$".includes(this.#next)) parts.push(this.#quantified(this.#atom(depth)));
    return parts;
  }

  #atom(depth: number): Pattern {
    if (this.#next === "(") return this.#group(depth);
    if (this.#next === "^") this.#refuse("^");
    if (this.#take("[")) return one(this.#set());
    if (this.#take(".")) return one(DOT);
    if (this.#take("\\")) return one(this.#escape());
    return one(range(this.#characters[this.#at++]!));
  }

  #group(depth: number): Pattern {
    if (depth >= MOST_DEPTH) this.#refuse("so deep a group");
    this.#at++;
    if (this.#next === "?" && !this.#take("?:")) this.#refuse("(?");
    const options: Pattern[] = [];
    do options.push(inTurn(this.#parts(depth + 1))); while (this.#take("|"));
    if (!this.#take(")")) this.#refuse(this.#next ?? "the end");
    return either(options);
  }

  #quantified(body: Pattern): Pattern {
    const [least, most] = this.#quantifier();
    this.#take("?"); // lazy: the same texts
    return least === 1 && most === 1 ? body : times(body, least, most);
  }

  #quantifier(): readonly [number, number] {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    if (this.#next !== "{") return [1, 1];
    const [all, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(this.#characters.slice(this.#at).join(""))!;
    this.#at += all.length;
    return [Number(least), comma === "" ? Number(least) : most === "" ? Infinity : Number(most)];
  }

  #set(): Characters {
    const negated = this.#take("^");
    const sets: Characters[] = [];
    while (!this.#take("]")) {
      const first = this.#member();
      if (this.#next !== "-" || this.#characters[this.#at + 1] === "]") {
        sets.push(first);
        continue;
      }
      this.#at++;
      sets.push([[first[0]![0], this.#member()[0]![1]]]);
    }
    const set = union(...sets);
    return negated ? complement(set) : set;
  }

  #member(): Characters {
    return this.#take("\\") ? this.#escape() : range(this.#characters[this.#at++]!);
  }

  #escape(): Characters {
    const letter = this.#characters[this.#at++]!;
    const known = CLASSES[letter];
    if (known) return known;
    if (CONTROLS[letter]) return range(CONTROLS[letter]);
    if (letter === "u" || letter === "x") return this.#code(letter === "u" ? 4 : 2);
    if (/[A-Za-z0-9]/.test(letter)) this.#refuse(`\\${letter}`);
    return range(letter);
  }

  #code(length: number): Characters {
    const rest = this.#characters.slice(this.#at, this.#at + 10).join("");
    const [all, braced, plain] = /^\{([0-9A-Fa-f]+)\}|^([0-9A-Fa-f]+)/.exec(rest)!;
    const text = braced ?? plain!.slice(0, length);
    this.#at += braced === undefined ? length : all.length;
    const code = parseInt(text, 16);
    if (code >= 0xd800 && code <= 0xdfff) this.#refuse("a surrogate");
    return [[code, code]];
  }
}
