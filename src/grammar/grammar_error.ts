/** A grammar that says what it should, and to which an answer cannot be held all the same; the message says why, for whoever asked for it. */
export class GrammarError extends RangeError {
  override readonly name = "GrammarError";
}
