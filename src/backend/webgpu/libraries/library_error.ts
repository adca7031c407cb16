/** A library of another provider than Deno. */

/** It cannot be found, fetched or used; the message says why and what to do. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}
