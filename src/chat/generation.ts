/** One generation as it runs: the engine's tokens become deltas, up to a stop text, a call or their end. */
import type { EngineInfo, EngineStatus } from "../pipeline/messages.ts";
import type {
  EngineFinish,
  GeneratedToken,
  GenerateRequest,
  GenerateStats,
  ScoreRequest,
  ScoreRows,
} from "../pipeline/requests.ts";
import { DeltaWriter } from "./delta_writer.ts";
import type { Delta, FinishReason } from "./messages.ts";
import type { OutputParser } from "./output_parser.ts";
import { EngineGrammarError, RequestError } from "./request_error.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What a conversation needs of an engine; `EngineClient` is one. */
export interface TokenGenerator extends AsyncDisposable {
  readonly info: EngineInfo;
  /** Why it can do nothing any more, or null. */
  readonly failure: Error | null;
  status(): Promise<EngineStatus>;
  /** Tokens as they come. Ending the iteration early aborts the generation. */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GeneratedToken> & {
    readonly result: Promise<{ readonly finish: EngineFinish; readonly stats: GenerateStats }>;
  };
  /** Log-probabilities of given tokens, a stretch at a time. */
  score(request: ScoreRequest, signal?: AbortSignal): AsyncIterable<ScoreRows>;
}

/** What is asked of the engine, and how its tokens are read. */
export interface Generation {
  readonly request: GenerateRequest;
  readonly parser: OutputParser | null;
  readonly stop: readonly string[];
  /** End behind the first call. */
  readonly oneCall?: boolean;
  /** What is to blame where an answer cannot be held to its grammar. */
  readonly blame?: RequestError["field"];
  readonly signal: AbortSignal | undefined;
}

/** The deltas of an answer; `before` characters are written before it. Ending the iteration ends the generation. */
export async function* runGeneration(
  engine: TokenGenerator,
  tokenizer: Tokenizer,
  { request, parser, stop, oneCall, blame, signal }: Generation,
  before: number,
): AsyncGenerator<Delta> {
  const writer = new DeltaWriter(tokenizer, parser, stop, before);
  const generation = engine.generate(request, signal);
  const enough = () => writer.stopped || (oneCall === true && parser?.behindCall === true);
  let generated = 0;
  for await (const token of blame ? blaming(generation, blame) : generation) {
    generated++;
    if (request.stopTokens.includes(token.id)) continue;
    yield* writer.push(token);
    if (enough()) break;
  }
  const { finish, stats } = await generation.result;
  if (finish === "abort" && !enough()) {
    throw signal?.reason ?? new DOMException("The generation was ended", "AbortError");
  }
  yield* writer.end();
  yield {
    type: "finish",
    reason: finishReason(enough() ? "stop" : finish, parser?.calls ?? 0),
    usage: {
      promptTokens: request.prompt.length,
      completionTokens: generated,
      cachedTokens: stats.cachedTokens,
      reasoningTokens: writer.reasoningTokens,
    },
    timings: { prefillMillis: stats.prefillMillis, decodeMillis: stats.decodeMillis },
  };
}

/** The tokens of an answer; where it cannot be held to its grammar, that is the request's fault. */
async function* blaming(tokens: AsyncIterable<GeneratedToken>, field: RequestError["field"]) {
  try {
    yield* tokens;
  } catch (error) {
    throw error instanceof EngineGrammarError ? new RequestError(error.message, field) : error;
  }
}

function finishReason(finish: EngineFinish, calls: number): FinishReason {
  if (finish === "length") return "length";
  return calls > 0 ? "tool_calls" : "stop";
}
