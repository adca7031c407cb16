/** An answer as it grows, out of the pieces that come from the server. */
import type { Piece } from "../api/client.ts";
import { cut, RequestFailure } from "../api/failure.ts";
import { type Answer, emptyAnswer, type Stats } from "./conversation.ts";

/**
 * Reads `pieces` to the end and tells of each new state of the answer. Whatever goes wrong is part of the answer;
 * `now` is in milliseconds.
 */
export async function grow(
  pieces: AsyncIterable<Piece>,
  { signal, now, tell }: { signal: AbortSignal; now: () => number; tell: (answer: Answer) => void },
): Promise<void> {
  const asked = now();
  let answer = emptyAnswer;
  let first: number | null = null;
  try {
    for await (const piece of pieces) {
      first ??= now();
      answer = {
        ...add(answer, piece, now() - first),
        stats: count(answer.stats, piece, first - asked, now() - first),
      };
      tell(answer);
    }
    tell(ended(answer, "done"));
  } catch (error) {
    if (signal.aborted) return tell(ended(answer, "stopped"));
    const failure = error instanceof RequestFailure ? error.failure : cut;
    tell({ ...ended(answer, "failed"), failure });
  }
}

function add(answer: Answer, piece: Piece, millis: number): Answer {
  switch (piece.type) {
    case "reasoning":
      return { ...answer, reasoning: answer.reasoning + piece.text };
    case "content": {
      const thought = answer.reasoning !== "" && answer.content === "" ? { thoughtMillis: millis } : {};
      return { ...answer, ...thought, content: answer.content + piece.text };
    }
    case "finish":
      return { ...answer, reason: piece.reason };
    case "usage":
      return answer;
  }
}

/** Pieces are counted until the server tells the tokens. */
function count(stats: Stats | undefined, piece: Piece, waitMillis: number, millis: number): Stats {
  const tokens = stats?.tokens ?? 0;
  if (piece.type === "finish") return { tokens, waitMillis, millis: stats?.millis ?? millis };
  if (piece.type !== "usage") return { tokens: tokens + 1, waitMillis, millis };
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = piece.usage;
  const cached = prompt_tokens_details?.cached_tokens ?? 0;
  return {
    tokens: completion_tokens,
    promptTokens: prompt_tokens,
    ...(cached > 0 ? { cachedTokens: cached } : {}),
    waitMillis,
    millis: stats?.millis ?? millis,
  };
}

function ended(answer: Answer, status: Answer["status"]): Answer {
  const thinking = answer.reasoning !== "" && answer.thoughtMillis === undefined;
  return { ...answer, ...(thinking ? { thoughtMillis: answer.stats?.millis ?? 0 } : {}), status };
}
