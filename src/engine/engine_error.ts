/** What can go wrong with an engine, as its callers see it. */

/** An engine that cannot be opened, that stopped, or that refused a request or failed in it; the message says which. */
export class EngineError extends Error {
  override readonly name: string = "EngineError";
}

/** As many requests wait as may: this one was not taken, and may be sent again in a moment. */
export class EngineBusyError extends EngineError {
  override readonly name = "EngineBusyError";
}

/** The answer could not be held to the request's grammar. */
export class EngineGrammarError extends EngineError {
  override readonly name = "EngineGrammarError";
}

/** A text is longer than there is memory for, even with nothing beside it; others run on. */
export class TooLongError extends EngineError {
  override readonly name = "TooLongError";
}

/** Stages that are needed are not there, and did not come in time; later they may be. */
export class EngineUnavailableError extends EngineError {
  override readonly name = "EngineUnavailableError";
}
