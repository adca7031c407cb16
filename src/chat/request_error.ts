/** What is asked of the chat layer cannot be done; the message says why, for whoever asked. */
export { EngineBusyError, EngineGrammarError, EngineUnavailableError, TooLongError } from "../engine/engine_error.ts";
import type { ChatRequest, CompletionRequest } from "./messages.ts";

export class RequestError extends RangeError {
  override readonly name = "RequestError";

  /** @param field The part of the request that is to blame. */
  constructor(message: string, readonly field: keyof ChatRequest | keyof CompletionRequest) {
    super(message);
  }
}
