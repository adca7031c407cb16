/** The error for a checkpoint that is damaged, incomplete or not the one that was asked for. */

/** Its message is one line that names the file, and the tensor where there is one. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

/** A name out of a file, quoted and bounded so that no file can break a message over lines or flood it. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? name.slice(0, 120) + "…" : name);
}

/** Any other JSON value out of a file, likewise. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 120 ? text.slice(0, 120) + "…" : text;
}
