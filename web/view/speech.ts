/** Markdown as it is spoken. */

/** Where the last whole sentence, line or row of `text` ends. */
export function sentencesEnd(text: string): number {
  let end = 0;
  for (const { index, 0: mark } of text.matchAll(/[.!?:]\s|\n/g)) end = index + mark.length;
  return end;
}

/** Without the marks of Markdown. */
export function plain(markdown: string): string {
  return markdown
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^ *(#{1,6}|>|[-*+]) +/gm, "")
    .replace(/[*`|]+/g, "")
    .replace(/\s+/g, " ")
    .trim();
}
