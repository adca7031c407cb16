/** What an answer took: tokens, their rate, and how much of the prompt was known already. */
import type { Stats } from "../state/conversation.ts";

/** Below these a rate says nothing. */
const ENOUGH = { tokens: 4, millis: 100 };

export function UsageLine({ stats, streaming }: { readonly stats: Stats; readonly streaming: boolean }) {
  const { tokens, promptTokens, cachedTokens } = stats;
  const prompt = promptTokens === undefined ? "" : `prompt ${format(promptTokens)}`;
  const cached = cachedTokens === undefined ? "" : ` (${format(cachedTokens)} cached)`;
  const parts = [streaming ? "" : tokens === 1 ? "1 token" : `${format(tokens)} tokens`, rate(stats), prompt + cached];
  return <p class="usage">{parts.filter((part) => part !== "").join(" · ")}</p>;
}

/** The first token ends the wait; the time is that of the others. */
function rate({ tokens, millis }: Stats): string {
  if (tokens < ENOUGH.tokens || millis < ENOUGH.millis) return "";
  const perSecond = (tokens - 1) / millis * 1000;
  return `${perSecond < 10 ? perSecond.toFixed(1) : format(Math.round(perSecond))} tok/s`;
}

function format(count: number): string {
  return count.toLocaleString("en");
}
