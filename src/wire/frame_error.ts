/** The error of bytes that are no message. */

export class FrameError extends Error {
  override readonly name = "FrameError";
}
