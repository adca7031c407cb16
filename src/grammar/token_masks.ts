/** Which tokens may follow in a state of the automaton, out of the whole vocabulary. */
import type { Grammar } from "../pipeline/requests.ts";
import { Automaton, type Rest, type Stack, type State } from "./automaton.ts";
import { NONE, Transitions } from "./transitions.ts";
import type { Trie, Vocabulary } from "./vocabulary.ts";

// A token's bytes may leave the rule in which it begins. What it can be within the rule depends on nothing below, and is most
// of the work: it is done once for each place in a rule and kept. There are also kept the nodes of the trie at which the rule
// is over while tokens go on; from there the walk goes on with what lies below, over the few tokens that begin so.

/** What may follow at a place in a rule. */
interface Within {
  /** Tokens as bits, or their ids if they are few. */
  readonly bits: Uint32Array | null;
  readonly ids: Uint32Array;
  /** Nodes at which the rule is over and tokens go on. */
  readonly ends: Uint32Array;
}

/** Bytes of masks that are kept for one grammar. */
const MOST_BYTES = 16 << 20;
/** About what a state takes by itself. */
const STATE_BYTES = 4096;
/** About what a grammar's rules take, by the characters of its key. */
const RULE_BYTES = 10;

export class TokenMasks {
  readonly vocabulary: Vocabulary;
  readonly #kept: readonly Map<State, Within>[]; // for each trie
  readonly #automaton: Automaton;
  readonly #transitions: Transitions;
  readonly #path: Int32Array; // numbers of states by depth
  readonly #found: Uint32Array; // tokens
  readonly #ruleBytes: number;
  #keptBytes = 0;

  constructor(grammar: Grammar, vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.#automaton = new Automaton(grammar);
    this.#kept = vocabulary.tries.map(() => new Map());
    this.#transitions = new Transitions(this.#automaton);
    this.#path = new Int32Array(1 + Math.max(...vocabulary.tries.map(({ longest }) => longest)));
    this.#found = new Uint32Array(vocabulary.size);
    this.#ruleBytes = grammar.key.length * RULE_BYTES;
  }

  /** About what all of it takes, which grows as answers are followed. */
  get bytes(): number {
    const worked = this.#automaton.bytes + this.#transitions.bytes + this.#keptBytes;
    return this.#ruleBytes + this.#path.byteLength + this.#found.byteLength + worked;
  }

  /** The work for another token begins, which has a limit. */
  rest(): void {
    this.#automaton.rest();
  }

  /** Nothing was read. */
  start(): State {
    this.rest();
    return this.#automaton.start();
  }

  /** The state after a token; null if it cannot follow or is not text. */
  after(state: State, id: number): State | null {
    const bytes = this.vocabulary.bytesOf(id);
    if (bytes.length === 0) return null;
    let reached: State | null = state;
    for (let i = 0; i < bytes.length && reached; i++) reached = this.#automaton.step(reached, bytes[i]!);
    return reached;
  }

  /** Sets `bits`, [⌈V / 32⌉], to the tokens that may follow. */
  fill(state: State, bits: Uint32Array): void {
    bits.fill(0);
    for (const [below, rests] of byCaller(state)) {
      const rest = below && this.#automaton.after(below);
      for (const [i, trie] of this.vocabulary.tries.entries()) {
        const within = this.#within(this.#automaton.within(rests, trie.longest), trie, this.#kept[i]!);
        if (within.bits) { for (let i = 0; i < bits.length; i++) bits[i]! |= within.bits[i]!; }
        setAll(bits, within.ids);
        if (rest) { for (const node of within.ends) setAll(bits, this.#walk(trie, node, rest)); }
      }
    }
  }

  #within(place: State, trie: Trie, kept: Map<State, Within>): Within {
    const known = kept.get(place);
    if (known) return known;
    const ends: number[] = [];
    const within = packed(this.#walk(trie, 0, place, ends), Uint32Array.from(ends), this.vocabulary.size);
    const bytes = STATE_BYTES + (within.bits ?? within.ids).byteLength + within.ends.byteLength;
    if (this.#keptBytes + bytes > MOST_BYTES) {
      for (const map of this.#kept) map.clear();
      this.#keptBytes = 0;
    }
    this.#keptBytes += bytes;
    kept.set(place, within);
    return within;
  }

  /**
   * The tokens of a trie below `node`, to which `state` has come, until the next walk. `ends` get the nodes at which the text may be over
   * while tokens go on.
   */
  #walk(trie: Trie, node: number, state: State, ends: number[] = []): Uint32Array {
    const { byte, depth, end, token } = trie;
    const { same } = this.vocabulary;
    const transitions = this.#transitions;
    const path = this.#path;
    const found = this.#found;
    let count = 0;
    path[depth[node]!] = transitions.begin(state);
    const last = end[node]!;
    for (let i = node + 1; i < last;) {
      const at = depth[i]!;
      const reached = transitions.step(path[at - 1]!, byte[i]!);
      if (reached === NONE) {
        i = end[i]!;
        continue;
      }
      path[at] = reached;
      for (let id = token[i]!; id >= 0; id = same[id]!) found[count++] = id;
      if (end[i]! > ++i && transitions.accepts(reached)) ends.push(i - 1);
    }
    return found.subarray(0, count);
  }
}

function packed(ids: Uint32Array, ends: Uint32Array, vocabulary: number): Within {
  const words = Math.ceil(vocabulary / 32);
  if (ids.length < words) return { bits: null, ids: ids.slice(), ends };
  const bits = new Uint32Array(words);
  setAll(bits, ids);
  return { bits, ids: new Uint32Array(), ends };
}

function setAll(bits: Uint32Array, ids: Uint32Array): void {
  for (let i = 0; i < ids.length; i++) bits[ids[i]! >>> 5]! |= 1 << (ids[i]! & 31);
}

/** What is left of the rules that are being read, by what has called them. */
function byCaller({ stacks }: State): Map<Stack | null, Rest[]> {
  const groups = new Map<Stack | null, Rest[]>();
  for (const { rest, below } of stacks) {
    const group = groups.get(below);
    if (group) group.push(rest);
    else groups.set(below, [rest]);
  }
  return groups;
}
