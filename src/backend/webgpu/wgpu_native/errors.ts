/** Errors of a device: who hears of them, by the standard's scopes. */
import { ENUMS } from "./webgpu_h.ts";

const { ErrorType } = ENUMS;

interface Scope {
  readonly filter: GPUErrorFilter;
  error: GPUError | null;
}

/** As the standard's event of this type: an error that no scope took. */
export class UncapturedErrorEvent extends Event {
  readonly error: GPUError;

  constructor(error: GPUError) {
    super("uncapturederror", { cancelable: true });
    this.error = error;
  }
}

/** The error that the C library tells of. */
export function errorOf(type: number, message: string): GPUError {
  const text = message.replace(/^Validation Error\s+Caused by:\s+/, "").trim();
  if (type === ErrorType.OutOfMemory) return new GPUOutOfMemoryError(text);
  return type === ErrorType.Validation ? new GPUValidationError(text) : new GPUInternalError(text);
}

function filterOf(error: GPUError): GPUErrorFilter {
  if (error instanceof GPUOutOfMemoryError) return "out-of-memory";
  return error instanceof GPUValidationError ? "validation" : "internal";
}

/** The scopes that are open on a device. The library tells of an error before the call that caused it returns. */
export class ErrorScopes {
  readonly #scopes: Scope[] = [];
  readonly #uncaptured: (error: GPUError) => void;

  constructor(uncaptured: (error: GPUError) => void) {
    this.#uncaptured = uncaptured;
  }

  push(filter: GPUErrorFilter): void {
    this.#scopes.push({ filter, error: null });
  }

  /** @throws {DOMException} if no scope is open */
  pop(): GPUError | null {
    const scope = this.#scopes.pop();
    if (scope === undefined) throw new DOMException("Cannot pop an error scope: none is open", "OperationError");
    return scope.error;
  }

  /** Gives an error to the innermost scope for such; a scope keeps its first. */
  report(error: GPUError): void {
    const filter = filterOf(error);
    const scope = this.#scopes.findLast((each) => each.filter === filter);
    if (scope === undefined) this.#uncaptured(error);
    else scope.error ??= error;
  }

  /** What `work` does, and the first error that it causes, which nobody else hears of. */
  watch<T>(work: () => T): { result: T; error: GPUError | null } {
    const begin = this.#scopes.length;
    for (const filter of ["internal", "out-of-memory", "validation"] as const) this.push(filter);
    try {
      const result = work();
      return { result, error: this.#scopes.slice(begin).find(({ error }) => error !== null)?.error ?? null };
    } finally {
      this.#scopes.length = begin;
    }
  }
}
