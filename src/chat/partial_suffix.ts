/** How much of a text's end must wait, because it may become a tag or a stop text. */

/** Length of the longest end of `text` that is a proper beginning of one of `tags`. */
export function partialSuffix(text: string, tags: readonly string[]): number {
  let longest = 0;
  for (const tag of tags) {
    for (let length = Math.min(tag.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(tag.slice(0, length))) longest = length;
    }
  }
  return longest;
}
